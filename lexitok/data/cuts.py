"""Where text is cut before it is known in which tokens: at words if possible, else between characters."""

from collections.abc import Sequence

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


def cut_together_at(
    places: Int8[np.ndarray, "n"], ends: Sequence[np.ndarray], most: Sequence[int]
) -> list[tuple[int, ...]]:
    """Where sequences of symbols of the same text are cut: the numbers of symbols before each part.

    As of `cut_offsets`, of the places at which symbols of all end.

    Args:
      places: how good it is to cut at each of them, in the order of the text; the last is its end.
      ends: how many symbols of each sequence there are up to each place, rising.
      most: symbols of a part, of each.

    Raises:
      ValueError: from one place no further one is within reach; says how many symbols the next would take.
    """
    starts, at = [tuple(0 for _ in ends)], 0  # the number of the place behind the last cut
    while any(end[-1] - start > limit for end, start, limit in zip(ends, starts[-1], most, strict=True)):
        reach = [start + limit for start, limit in zip(starts[-1], most, strict=True)]
        stop = min(int(np.searchsorted(end, limit, side="right")) for end, limit in zip(ends, reach, strict=True))
        if stop <= at:
            further = " and ".join(str(int(end[at]) - start) for end, start in zip(ends, starts[-1], strict=True))
            raise ValueError(f"the next place at which symbols of all end is {further} symbols further on")
        at = stop - int(places[at:stop][::-1].argmax())
        starts.append(tuple(int(end[at - 1]) for end in ends))
    return starts
