"""Prompts to the symbols that a model reads before it writes: a document's stream that is broken off."""

import codecs

import numpy as np

from lexitok.data.encoders import Encoder


def prompt_symbols(encoder: Encoder, prompt: bytes, source: str = "prompt") -> list[int]:
    """`bos` and the symbols of the prompt, which may end anywhere: in mid-word, in the middle of a character.

    Under the boundary rule `end_symbol` the prompt's units are closed, but not the last one, which the model goes on
    with (unless the splitter already knows it to be complete).

    Raises:
      InvalidUtf8Error: the alphabet is `in_bytes`, and the prompt is not valid UTF-8 (it may break off inside of a
        character).
    """
    vocabulary = encoder.vocabulary
    if encoder.kind == "subword":
        return [vocabulary.bos, *encoder.encode(prompt, source).symbols[:-1].tolist()]
    encoder.encode(prompt[: len(prompt) - _unfinished(prompt)], source)  # raises what there is to raise
    symbols = np.frombuffer(prompt, np.uint8).astype(np.int32)
    if encoder.end_of_unit is not None and len(prompt):
        segmentation = encoder.splitter.split(prompt)  # type: ignore[attr-defined]
        ends = segmentation.ends()
        is_open = segmentation.closed[-1] < len(ends)
        symbols = np.insert(symbols, ends[:-1] if is_open else ends, encoder.end_of_unit)
    return [vocabulary.bos, *symbols.tolist()]


def _unfinished(data: bytes) -> int:
    """How many bytes at the end are the beginning of a UTF-8 character."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(data[-4:])
    return len(decoder.getstate()[0])
