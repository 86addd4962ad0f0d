"""`stream`: prompts in, texts out piece by piece, as they are written."""

from collections.abc import Iterator, Sequence
from typing import Any

from lexitok.data.batch import row_seeds
from lexitok.data.encoders import Encoder
from lexitok.inference.decoder import ContextError, Decoder, most_positions, positions_of
from lexitok.inference.drawing import Drawer
from lexitok.inference.predicted_units import predicted_ends
from lexitok.inference.prompts import prompt_symbols, unfinished
from lexitok.inference.sampling import Sampling
from lexitok.inference.stops import Text


def stream(
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
) -> Iterator[tuple[int, bytes]]:
    """Goes on with each prompt, until a stop string, the end of the document, or `max_bytes`; gives out what is sure.

    A piece has whole UTF-8 characters only (if a prompt ends inside of one, the first piece begins with its rest),
    and never what may turn out to be the beginning of a stop string. Bytes that cannot become a character are passed on
    as they are, as soon as that is sure; what is left when a text ends is given out then.

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
      The number of a prompt and new bytes of its text, again and again. Nothing is computed before the first is asked
      for.

    Raises:
      ContextError: prompt and text might outgrow `context`; nothing is cut silently.
      InvalidUtf8Error: a prompt that the alphabet cannot hold.
      FloatingPointError: the model's logits are not finite; where the texts are asked for, all else at once.
      ValueError, TypeError: settings that mean nothing; a model and an encoder that do not go together.
    """
    sampling = Sampling(temperature, top_k, top_p)
    texts = [Outgoing(Text(max_bytes, stop), prompt) for prompt in prompts]
    read = [_read(model, encoder, prompt, f"prompt {i}", prompt_units) for i, prompt in enumerate(prompts)]
    if not read or max_bytes == 0:
        return iter(())
    needed = _needed(encoder, read, max_bytes, context)
    decoder = Decoder(model, encoder, len(read), needed, chunk, row_seeds(len(read), seed))
    return _write(decoder, encoder, read, texts, sampling, seed)


class Outgoing:
    """A text on its way out: hands over, once each, the bytes that are sure and make whole characters.

    Attributes:
      text: the text, see `Text`.
    """

    def __init__(self, text: Text, prompt: bytes = b""):
        self.text = text
        self._begun = prompt[len(prompt) - unfinished(prompt) :]  # a character that the text goes on with
        self._given = 0

    def take(self) -> bytes:
        """What has become sure since this was last called."""
        data, end = self.text.data, self.text.sure
        if not self.text.ended:
            end -= unfinished((self._begun + data[max(0, end - 3) : end])[-3:])
        start, self._given = self._given, max(self._given, end)
        return data[start : self._given]


def _read(model: Any, encoder: Encoder, prompt: bytes, source: str, units: str) -> list[int]:
    match units:
        case "splitter":
            return prompt_symbols(encoder, prompt, source)
        case "router":
            return prompt_symbols(encoder, prompt, source, predicted_ends(model, encoder, prompt))
    raise ValueError(f"unknown prompt_units '{units}'; there are splitter, router")


def _needed(encoder: Encoder, read: list[list[int]], max_bytes: int, context: int | None) -> int:
    longest = max(positions_of(encoder, row) for row in read)
    needed = longest + most_positions(encoder, max_bytes)
    if context is not None and needed > context:
        raise ContextError(
            f"the longest prompt takes {longest} positions and with max_bytes={max_bytes} may grow to {needed}, but "
            f"the context is {context}; shorten the prompt or lower max_bytes"
        )
    return needed


def _write(
    decoder: Decoder, encoder: Encoder, read: list[list[int]], texts: list[Outgoing], sampling: Sampling, seed: int
) -> Iterator[tuple[int, bytes]]:
    drawer = Drawer(decoder, encoder, sampling, seed)
    while not all(out.text.ended for out in texts):
        decoder.read(read)
        symbols = drawer.draw([not out.text.ended for out in texts])
        for row, (symbol, out) in enumerate(zip(symbols, texts, strict=True)):
            if not out.text.ended:
                _add(out.text, symbol, encoder)
                if new := out.take():
                    yield row, new
        read = [[] if out.text.ended else [symbol] for symbol, out in zip(symbols, texts, strict=True)]


def _add(text: Text, symbol: int, encoder: Encoder) -> None:
    if symbol == encoder.vocabulary.eot:
        text.end()
    else:
        text.add(encoder.vocabulary.token_bytes[symbol])
