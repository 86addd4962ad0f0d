"""Prompts to the symbols that a model reads before it writes: a document's stream that is broken off."""

import re

import numpy as np

from lexitok.data.encoders import Encoder

# What a character may begin with (Unicode 15, table 3-7), without its last byte. Python's own incremental decoder also
# waits for the rest of a surrogate, which never comes to a character.
_BEGINNING = re.compile(
    rb"(?:[\xC2-\xDF]|[\xE1-\xEC\xEE\xEF][\x80-\xBF]?|\xE0[\xA0-\xBF]?|\xED[\x80-\x9F]?"
    rb"|[\xF1-\xF3][\x80-\xBF]{0,2}|\xF0(?:[\x90-\xBF][\x80-\xBF]?)?|\xF4(?:[\x80-\x8F][\x80-\xBF]?)?)\Z"
)


def prompt_symbols(
    encoder: Encoder, prompt: bytes, source: str = "prompt", found: np.ndarray | None = None
) -> list[int]:
    """`bos` and the symbols of the prompt, which may end anywhere: in mid-word, in the middle of a character.

    Where symbols say where units end, the prompt's units are closed, but not the last one, which the model goes on with
    (unless the splitter already knows it to be complete, or it has no room for more).

    Args:
      encoder: of the symbols that the model was trained on.
      prompt: bytes.
      source: what errors call the prompt.
      found: bool `[len(prompt)]`, the bytes with which units end (`predicted_ends`); None: those of the splitter.

    Raises:
      InvalidUtf8Error: the alphabet is `in_bytes`, and the prompt is not valid UTF-8 (it may break off inside of a
        character).
    """
    vocabulary = encoder.vocabulary
    if encoder.kind == "subword":
        return [vocabulary.bos, *encoder.encode(prompt, source).symbols[:-1].tolist()]
    encoder.encode(prompt[: len(prompt) - unfinished(prompt)], source)  # raises what there is to raise
    symbols = np.frombuffer(prompt, np.uint8).astype(np.int32)
    if encoder.rule.marks != "nothing" and len(prompt):
        ends = _splitter_ends(encoder, prompt) if found is None else np.flatnonzero(found) + 1
        symbols = encoder.rule.with_ends(symbols, ends)
    return [vocabulary.bos, *symbols.tolist()]


def _splitter_ends(encoder: Encoder, prompt: bytes) -> np.ndarray:
    """Behind which bytes a unit ends; the last is left out where it is open."""
    assert encoder.rule.splitter is not None
    segmentation = encoder.rule.splitter.split(prompt)
    ends = segmentation.ends()
    last = ends[-1] - np.append(0, ends)[-2]
    is_open = segmentation.closed[-1] < len(ends) and last < encoder.rule.longest
    return ends[:-1] if is_open else ends


def unfinished(data: bytes) -> int:
    """How many bytes at the end are the beginning of a UTF-8 character whose rest is not there."""
    found = _BEGINNING.search(data[-3:])
    return len(found[0]) if found else 0
