"""The longest unit: longer ones are cut greedily, between atoms where that is possible, and no byte is lost."""

import numpy as np
from jaxtyping import Int64


def limit_units(
    starts: Int64[np.ndarray, "w"], n: int, limit: int, offsets: Int64[np.ndarray, "offsets"] | None
) -> Int64[np.ndarray, "v"]:
    """The starts of units of at most `limit` bytes.

    Args:
      starts: byte offsets of the units, in order, from 0.
      n: bytes of the text.
      limit: bytes of the longest unit.
      offsets: where the atoms start, and `n`; None if each byte is one. Only an atom longer than `limit` is cut.
    """
    ends = np.empty_like(starts)
    ends[:-1], ends[-1] = starts[1:], n
    long = (ends - starts > limit).nonzero()[0]
    if not len(long):
        return starts
    first, end = starts[long].tolist(), ends[long].tolist()
    if offsets is None:
        cuts = [x for s, e in zip(first, end, strict=True) for x in range(s + limit, e, limit)]
    else:
        cuts = _cuts_between_atoms(first, end, n, limit, offsets)
    return np.sort(np.concatenate([starts, np.array(cuts, np.int64)]))


def _cuts_between_atoms(first: list[int], end: list[int], n: int, limit: int, offsets: np.ndarray) -> list[int]:
    inside = np.ones(n + 1, bool)
    inside[offsets] = False
    is_inside = inside.tobytes()
    cuts = []
    for s, e in zip(first, end, strict=True):
        while e - s > limit:
            cut = s + limit
            while is_inside[cut] and cut > s:
                cut -= 1
            s = cut if cut > s else s + limit
            cuts.append(s)
    return cuts


class LimitStream:
    """`limit_units`, an atom at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._start = 0  # of the open unit
        self._size = 0

    def push(self, length: int, start: bool) -> list[int]:
        """Reads the bytes of an atom and whether a unit starts with it; returns the ends of units now complete."""
        ends = []
        if self._size and (start or self._size + length > self._limit):
            ends.append(self._close(self._size))
        self._size += length
        while self._size > self._limit:
            ends.append(self._close(self._limit))
        return ends

    def _close(self, size: int) -> int:
        self._start += size
        self._size -= size
        return self._start
