"""`generate`: prompts in, texts out."""

from collections.abc import Sequence
from typing import Any

from lexitok.data.encoders import Encoder
from lexitok.inference.stream import stream


def generate(
    model: Any,
    encoder: Encoder,
    prompts: Sequence[bytes],
    *,
    max_bytes: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    stop: Sequence[bytes] = (),
    seed: int = 0,
    context: int | None = None,
    chunk: int = 64,
    prompt_units: str = "splitter",
) -> list[bytes]:
    """Goes on with each prompt, until a stop string, the end of the document, or `max_bytes`.

    Args:
      model: a trained model.
      encoder: of the symbols that it was trained on.
      prompts: any bytes, of any lengths; may end in mid-word or in mid-character.
      max_bytes: of what is generated for each prompt, at most. A token that reaches beyond is cut.
      temperature, top_k, top_p: see `Sampling`; `temperature=0` takes the most likely symbol.
      stop: byte strings that end a text, and are not part of it.
      seed: of the random choices. What a prompt gets depends on its place in the batch, not on the other prompts.
      context: symbols that the model can read, for instance the length that it was trained on; None: what is needed.
      chunk: symbols of a prompt that are read at once: more are faster, and take more memory.
      prompt_units: who says where the units of a prompt end: `splitter`, or `router`, for a model that has learned it
        (Bolmo, whose router looks one byte ahead); the tokenizer whose tokens it was taught is not needed then.

    Returns:
      The new bytes for each prompt, without the prompt.

    Raises:
      ContextError: prompt and text might outgrow `context`; nothing is cut silently.
      InvalidUtf8Error: a prompt that the alphabet cannot hold.
      FloatingPointError: the model's logits are not finite.
      ValueError, TypeError: settings that mean nothing; a model and an encoder that do not go together.
    """
    texts = [bytearray() for _ in prompts]
    pieces = stream(
        model,
        encoder,
        prompts,
        max_bytes=max_bytes,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        stop=stop,
        seed=seed,
        context=context,
        chunk=chunk,
        prompt_units=prompt_units,
    )
    for row, new in pieces:
        texts[row] += new
    return [bytes(text) for text in texts]
