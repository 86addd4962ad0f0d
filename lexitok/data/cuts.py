"""Where text is cut before it is known in which tokens: at words if possible, else between characters."""

import numpy as np
from jaxtyping import Int8

_WHITE = np.isin(np.arange(256), list(b" \t\n\v\f\r"))
_WITHIN, _CHARACTER, _WORD = range(3)


def places(data: bytes) -> Int8[np.ndarray, "n_and_1"]:
    """How good a place to cut each offset is, the end of the text among them; more is better.

    The best ones are behind words, before the whitespace that follows: most tokenizers put a space to the word behind
    it. Then come those between characters, and last those within one.
    """
    byte = np.frombuffer(data, np.uint8)
    found = np.full(len(byte) + 1, _WORD, np.int8)
    found[:-1] = np.where(byte.view(np.int8) >= -64, _CHARACTER, _WITHIN)  # not 0x80 to 0xBF, the continuation bytes
    white = _WHITE[byte]
    found[1:-1][white[1:] > white[:-1]] = _WORD
    return found


def cut_offsets(places: Int8[np.ndarray, "ends"], most: int) -> list[int]:
    """Where a sequence of symbols is cut into parts of at most `most`: the number of symbols before each part.

    A part is as long as it can be and end at the best place that it can reach.

    Args:
      places: how good it is to cut behind each symbol.
      most: symbols of a part, at least 1.
    """
    starts = [0]
    while starts[-1] + most < len(places):
        reached = places[starts[-1] : starts[-1] + most]
        starts.append(starts[-1] + most - int(reached[::-1].argmax()))
    return starts
