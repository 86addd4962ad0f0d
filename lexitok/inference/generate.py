"""`generate`: prompts in, texts out."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.inference.decoder import ContextError, Decoder
from lexitok.inference.prompts import prompt_symbols
from lexitok.inference.rows import EndSymbolRow, Row
from lexitok.inference.sampling import NOT_FINITE, Sampling, draw, row_keys, step_keys
from lexitok.inference.stops import Text
from lexitok.models import ByteUnitLM, TokenLM

EMPTY_UNIT, OPEN_UNIT, FULL_UNIT = range(3)  # rows of `allowed_symbols`


def generate(
    model: TokenLM | ByteUnitLM,
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

    Returns:
      The new bytes for each prompt, without the prompt.

    Raises:
      ContextError: prompt and text might outgrow `context`; nothing is cut silently.
      InvalidUtf8Error: a prompt that the alphabet cannot hold.
      FloatingPointError: the model's logits are not finite.
      ValueError, TypeError: settings that mean nothing; a model and an encoder that do not go together.
    """
    sampling = Sampling(temperature, top_k, top_p)
    texts = [Text(max_bytes, stop) for _ in prompts]
    read = [prompt_symbols(encoder, prompt, f"prompt {i}") for i, prompt in enumerate(prompts)]
    if not read or max_bytes == 0:
        return [text.data for text in texts]
    # Each symbol that is drawn has a byte, but for those that close units, which have one byte before them at least.
    needed = max(map(len, read)) + max_bytes * (1 if encoder.end_of_unit is None else 2)
    if context is not None and needed > context:
        raise ContextError(
            f"the longest prompt has {max(map(len, read))} symbols and with max_bytes={max_bytes} may grow to "
            f"{needed}, but the context is {context}; shorten the prompt or lower max_bytes"
        )
    decoder = Decoder(model, encoder, len(read), needed, chunk)
    _write(decoder, encoder, read, texts, sampling, seed)
    return [text.data for text in texts]


def _write(
    decoder: Decoder, encoder: Encoder, read: list[list[int]], texts: list[Text], sampling: Sampling, seed: int
) -> None:
    allowed = jnp.asarray(allowed_symbols(encoder, decoder.logits_BxV.shape[1]))
    keys_B = row_keys(seed, len(read))
    token_bytes, eot = encoder.vocabulary.token_bytes, encoder.vocabulary.eot
    step = 0
    while not all(text.ended for text in texts):
        decoder.read(read)
        kinds = np.array([_kind(row, decoder.longest) for row in decoder.rows], np.int32)
        steps, kinds = jax.device_put((np.full(len(read), step, np.int32), kinds))
        drawn = draw(decoder.logits_BxV, allowed[kinds], step_keys(keys_B, steps), sampling)
        symbols = jax.device_get(drawn).tolist()  # the only thing that comes back from the device
        for row, (symbol, text) in enumerate(zip(symbols, texts, strict=True)):
            if symbol == NOT_FINITE and not text.ended:
                raise FloatingPointError(
                    f"row {row}: the model's logits after {decoder.rows[row].length} symbols are not finite; are its "
                    "parameters those of a run that diverged?"
                )
            text.end() if symbol == eot else text.add(token_bytes[symbol])
        read = [[] if text.ended else [symbol] for symbol, text in zip(symbols, texts, strict=True)]
        step += 1


def allowed_symbols(encoder: Encoder, V: int) -> np.ndarray:
    """Bool `[3, V]`: which symbols may be drawn, so that only streams as in training come about.

    Symbols with bytes, and `eot`. Under the boundary rule `end_symbol`, a unit has a byte at least and as many as the
    splitter allows at most, and the document ends between units: row `EMPTY_UNIT` has no end-of-unit symbol, row
    `OPEN_UNIT` no `eot`, row `FULL_UNIT` nothing but the end-of-unit symbol. Under the others, row `EMPTY_UNIT` counts.
    """
    vocabulary = encoder.vocabulary
    allowed = np.zeros((3, V), bool)
    allowed[:2, : vocabulary.size] = vocabulary.lengths > 0
    allowed[EMPTY_UNIT, vocabulary.eot] = True
    if encoder.end_of_unit is not None:
        allowed[OPEN_UNIT:, encoder.end_of_unit] = True
    return allowed


def _kind(row: Row, longest: int) -> int:
    if not isinstance(row, EndSymbolRow) or row.open_bytes == 0:
        return EMPTY_UNIT
    return OPEN_UNIT if row.open_bytes < longest - 1 else FULL_UNIT
