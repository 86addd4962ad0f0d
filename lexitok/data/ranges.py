"""Where a document's streams are cut: into pieces end to end for training, into windows that overlap for evaluation.

A document is one stream of symbols, or several of the same bytes; then a piece ends only where symbols of all end, so
that it is the same bytes in each. Of the places within all budgets the furthest is taken at which units end in
all streams, or else the furthest at all.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lexitok.data.batch import Budget
from lexitok.data.layout import pieces_at, reach
from lexitok.text.boundaries import RULES, SymbolStream


class Range(NamedTuple):
    """Symbols `start` to `stop` of a stream; those before `scored` are context."""

    start: int
    stop: int
    scored: int


def ranges(
    streams: Sequence[SymbolStream], budgets: Sequence[Budget], overlap: float = 0.0, source: str = "text"
) -> Iterator[tuple[Range, ...]]:
    """Ranges, one of each stream, whose scored parts follow each other without a gap.

    A range begins where units of all streams end, with at most the fraction `overlap` of each budget before what it
    scores; with less where otherwise it would score nothing.

    Args:
      streams: of one document.
      budgets: of a row, for each.
      overlap: 0: end to end.
      source: what errors call the document.

    Raises:
      ValueError: `overlap` is not in [0, 1); a budget is too small to make progress; or the streams end together too
        seldom: names the document, the byte and what the next place would take.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; it is a fraction of a window, at least 0 and below 1")
    if all(reach(s, 0, b.S, b.W) == len(s) for s, b in zip(streams, budgets, strict=True)):  # most documents
        yield tuple(Range(0, len(stream), 0) for stream in streams)
        return
    places, scored = _Places(streams, budgets), 0
    while scored < places.count:
        start = places.context(scored, overlap) if overlap else scored
        stop = places.furthest(start)
        if stop <= scored:
            start, stop = scored, places.furthest(scored)
        if stop == scored:
            raise ValueError(_too_far(streams, places.at(scored), places.at(scored + 1), budgets, source))
        yield tuple(map(Range, places.at(start), places.at(stop), places.at(scored)))
        scored = stop


class _Places:
    """Where pieces of all streams may begin and end: place 0 is their beginning, the last one their end.

    Attributes:
      count: the number of the last place.
    """

    def __init__(self, streams: Sequence[SymbolStream], budgets: Sequence[Budget]):
        self._sides = [_Side(*each) for each in zip(streams, budgets, _places(streams), strict=True)]
        self._whole = np.logical_and.reduce([side.whole for side in self._sides])
        self.count = len(self._whole) - 1

    def at(self, place: int) -> tuple[int, ...]:
        """The stop of each stream."""
        return tuple(int(side.stops[place]) for side in self._sides)

    def context(self, place: int, overlap: float) -> int:
        """The first place at which units begin that has at most this fraction of each budget between it and `place`."""
        first = max(side.context(place, overlap) for side in self._sides)
        whole = np.flatnonzero(self._whole[first:place])
        return first + int(whole[0]) if len(whole) else place

    def furthest(self, start: int) -> int:
        """The last place that a piece which begins at `start` gets to; `start`, where it gets nowhere."""
        within = min(side.furthest(start) for side in self._sides)
        ends = np.flatnonzero(self._whole[start + 1 : within + 1])
        return start + 1 + int(ends[-1]) if len(ends) and within < self.count else within


class _Side:
    """One stream: int64 `stops` and bool `whole` at each place, whether a unit ends there."""

    def __init__(self, stream: SymbolStream, budget: Budget, stops: np.ndarray):
        self._stream, self._budget, self.stops = stream, budget, stops
        self._units = np.append(0, np.cumsum(stream.unit_ends, dtype=np.int64))[stops]
        self.whole = np.append(True, stream.unit_ends[stops[1:] - 1])
        self._counts_units = budget.W is not None and not RULES[stream.boundary].by_model

    def context(self, place: int, overlap: float) -> int:
        """The first place that has at most this fraction of the budget between it and `place`."""
        first = np.searchsorted(self.stops, self.stops[place] - int(overlap * self._budget.S))
        if self._counts_units:
            first = max(first, np.searchsorted(self._units, self._units[place] - int(overlap * (self._budget.W or 0))))
        return int(first)

    def furthest(self, start: int) -> int:
        """The last place within the budget of what begins at `start`."""
        far = reach(self._stream, int(self.stops[start]), self._budget.S, self._budget.W)
        return int(np.searchsorted(self.stops, far, "right")) - 1


def _places(streams: Sequence[SymbolStream]) -> np.ndarray:
    """int64 `[streams, places]`: the stop of each stream at each place."""
    if len(streams) == 1:
        return np.arange(len(streams[0]) + 1)[None]
    lengths = [[len(stream)] for stream in streams]
    return np.concatenate([np.zeros_like(lengths), shared_stops(*streams), lengths], axis=1)


def shared_stops(*streams: SymbolStream) -> np.ndarray:
    """Where a piece may end before the streams do: int64 `[streams, places]`, rising, the stop in each stream.

    There is one for each byte at which symbols of all end. The stop in a stream is behind that symbol, or where its
    unit ends further on at the same byte (by an end-of-unit symbol), behind the end of the unit.
    """
    found = [_stops(stream) for stream in streams]
    shared = functools.reduce(functools.partial(np.intersect1d, assume_unique=True), (byte for byte, _ in found))
    return np.stack([stop[np.searchsorted(byte, shared)] for byte, stop in found])


def _stops(stream: SymbolStream) -> tuple[np.ndarray, np.ndarray]:
    """The bytes at which symbols of the stream end, and where a piece that ends there stops."""
    with_bytes = np.flatnonzero(stream.nbytes)
    byte = np.cumsum(stream.nbytes, dtype=np.int64)[with_bytes]
    following = np.append(with_bytes[1:], len(stream) - 1)  # the next with bytes; behind the last one, `eot`
    ends = np.flatnonzero(stream.unit_ends)
    end = ends[np.searchsorted(ends, with_bytes)]  # of the unit that the symbol is in
    return byte, np.where(end < following, end, with_bytes) + 1


def _too_far(
    streams: Sequence[SymbolStream], start: Sequence[int], stop: Sequence[int], budgets: Sequence[Budget], source: str
) -> str:
    pieces = [pieces_at(s, np.array([a]), b)[0] for s, a, b in zip(streams, start, stop, strict=True)]
    byte = int(streams[0].nbytes[: start[0]].sum())
    takes = [
        f"{len(piece)} symbols of {budget.S}" + ("" if budget.W is None else f" and {piece.units} units of {budget.W}")
        for piece, budget in zip(pieces, budgets, strict=True)
    ]
    return (
        f"{source}: from byte {byte} on, the tokenisations do not end together before byte "
        f"{byte + int(pieces[0].nbytes.sum())}; that takes {takes[0]} in the first, {' and '.join(takes[1:])} in the "
        f"other{'s' if len(takes) > 2 else ''}, and a piece can end nowhere else: give rows more room"
    )
