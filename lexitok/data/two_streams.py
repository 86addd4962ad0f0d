"""One document as two streams, cut where both of them end: every piece is the same bytes in two tokenisations.

Only where a symbol of both streams ends at the same byte can a piece end, so no span of the alignment is ever cut, and
each byte is the target of one position of either side. Of the places within all budgets the furthest is taken at which
units end in both streams, or else the furthest at all, as for one stream. A document in which none is within reach is
refused: to cut one side in the middle of a symbol is not possible, and to leave bytes out is not done.

Symbols without bytes go with what they stand for: end-of-unit symbols with the unit that they close, others (the space
that a tokenizer puts in front, further slots) with what follows them; `eot` ends the last piece of both.
"""

import dataclasses

import numpy as np

from lexitok.data.batch import Budget
from lexitok.data.layout import Piece, pieces_at, reach
from lexitok.text.alignment import TokenEnds, align
from lexitok.text.boundaries import SymbolStream

Streams = tuple[SymbolStream, SymbolStream]


def cut_together(
    first: SymbolStream,
    second: SymbolStream,
    budgets: tuple[Budget, Budget],
    classes: tuple[np.ndarray, np.ndarray],
    source: str = "text",
) -> list[Piece]:
    """The pieces of the first stream, each with the same bytes of the second and the alignment of both.

    Args:
      first, second: streams of one document.
      budgets: of a row, for each.
      classes: of each vocabulary (`lexitok.text.alignment.classes_of`).
      source: what errors call the document.

    Raises:
      ValueError: a budget is too small; where the streams end together too seldom for it, names the document, the byte
        and what the next place would take.
    """
    starts = shared_starts(first, second, budgets, source)
    sides = [pieces_at(stream, at) for stream, at in zip((first, second), starts, strict=True)]
    pairs = zip(*sides, strict=True)
    return [
        dataclasses.replace(a, second=b, alignment=align(_ends(a, classes[0]), _ends(b, classes[1]))) for a, b in pairs
    ]


def _ends(piece: Piece, classes: np.ndarray) -> TokenEnds:
    return TokenEnds(np.cumsum(piece.nbytes, dtype=np.int64), classes[piece.targets])


def shared_starts(
    first: SymbolStream, second: SymbolStream, budgets: tuple[Budget, Budget], source: str = "text"
) -> tuple[np.ndarray, np.ndarray]:
    """Where the pieces of each stream begin: int64 `[pieces]`, as many of either side.

    Raises:
      ValueError: as `cut_together`.
    """
    a, b = budgets
    if reach(first, 0, a.S, a.W) == len(first) and reach(second, 0, b.S, b.W) == len(second):
        return np.zeros(1, np.int64), np.zeros(1, np.int64)  # most documents
    # Rows of stops in both streams: those of which one is chosen after the other, and the ends of both.
    stops = np.append(shared_stops(first, second), [[len(first)], [len(second)]], axis=1)
    whole = first.unit_ends[stops[0] - 1] & second.unit_ends[stops[1] - 1]
    start, chosen, taken = (0, 0), [], 0
    while start[0] < len(first):
        far = reach(first, start[0], a.S, a.W), reach(second, start[1], b.S, b.W)
        within = min(int(np.searchsorted(stops[side], far[side], "right")) for side in (0, 1))
        if within == taken:
            next_stop = int(stops[0, taken]), int(stops[1, taken])
            raise ValueError(_too_far((first, second), start, next_stop, budgets, source))
        ends = np.flatnonzero(whole[taken:within])
        chosen.append(start)
        taken = taken + int(ends[-1]) + 1 if len(ends) and within < stops.shape[1] else within
        start = int(stops[0, taken - 1]), int(stops[1, taken - 1])
    starts = np.array(chosen, np.int64)
    return starts[:, 0], starts[:, 1]


def shared_stops(first: SymbolStream, second: SymbolStream) -> np.ndarray:
    """Where a piece may end before the streams do: int64 `[2, places]`, rising, the stop in either stream.

    There is one for each byte at which symbols of both end. The stop in a stream is behind that symbol, or where its
    unit ends further on at the same byte (by an end-of-unit symbol), behind the end of the unit.
    """
    (byte_a, stop_a), (byte_b, stop_b) = _stops(first), _stops(second)
    _, in_a, in_b = np.intersect1d(byte_a, byte_b, assume_unique=True, return_indices=True)
    return np.stack([stop_a[in_a], stop_b[in_b]])


def _stops(stream: SymbolStream) -> tuple[np.ndarray, np.ndarray]:
    """The bytes at which symbols of the stream end, and where a piece that ends there stops."""
    with_bytes = np.flatnonzero(stream.nbytes)
    byte = np.cumsum(stream.nbytes, dtype=np.int64)[with_bytes]
    following = np.append(with_bytes[1:], len(stream) - 1)  # the next with bytes; behind the last one, `eot`
    ends = np.flatnonzero(stream.unit_ends)
    end = ends[np.searchsorted(ends, with_bytes)]  # of the unit that the symbol is in
    return byte, np.where(end < following, end, with_bytes) + 1


def _too_far(
    streams: Streams, start: tuple[int, int], stop: tuple[int, int], budgets: tuple[Budget, Budget], source: str
) -> str:
    pieces = [pieces_at(s, np.array([a]), b)[0] for s, a, b in zip(streams, start, stop, strict=True)]
    byte = int(streams[0].nbytes[: start[0]].sum())
    takes = [
        f"{len(piece)} symbols of {budget.S}" + ("" if budget.W is None else f" and {piece.units} units of {budget.W}")
        for piece, budget in zip(pieces, budgets, strict=True)
    ]
    return (
        f"{source}: from byte {byte} on, the two tokenisations do not end together before byte "
        f"{byte + int(pieces[0].nbytes.sum())}; that takes {takes[0]} in the first and {takes[1]} in the second, and a "
        "piece can end nowhere else: give rows more room"
    )
