"""A document's pieces, all at once: what `lexitok.data.layout.make_piece` says of each, as arrays over the document."""

import dataclasses

import numpy as np

from lexitok.data.layout import Document, piece_ranges


@dataclasses.dataclass(frozen=True)
class Stretches:
    """The pieces of a document of `n` symbols, end to end.

    Attributes:
      symbols, targets, nbytes, unit_of, guide_of: int32 `[n]`, as in `Piece`; `unit_of` and `guide_of` count from the
        start of their piece, and are None for models whose symbols are units.
      starts, lengths: int64 `[pieces]`, in symbols.
      units: int64 `[pieces]`; 0 for models whose symbols are units.
    """

    symbols: np.ndarray
    targets: np.ndarray
    nbytes: np.ndarray
    unit_of: np.ndarray | None
    guide_of: np.ndarray | None
    starts: np.ndarray
    lengths: np.ndarray
    units: np.ndarray


def cut(document: Document, symbols: int, units: int | None) -> Stretches:
    """The pieces that `split_document` makes under both budgets; `units` None: models whose symbols are units.

    Raises:
      ValueError: a budget is too small to make progress.
    """
    starts, stops = _ranges(document, symbols, units)
    lengths = stops - starts
    read = np.empty(len(document), np.int32)
    read[1:] = document.symbols[:-1]
    read[starts] = document.bos
    unit_of = guide_of = None
    counts = np.zeros(len(starts), np.int64)
    if units is not None:
        unit_of, guide_of = _unit_indices(document, starts, lengths)
        counts = unit_of[stops - 1].astype(np.int64) + 1
    return Stretches(read, document.symbols, document.nbytes, unit_of, guide_of, starts, lengths, counts)


def _ranges(document: Document, symbols: int, units: int | None) -> tuple[np.ndarray, np.ndarray]:
    if units is None and document.boundary == "none" and symbols > 0:
        starts = np.arange(0, len(document), symbols)
        return starts, np.minimum(starts + symbols, len(document))
    ranges = np.array(list(piece_ranges(document, symbols, max(2, symbols + 1) if units is None else units)), np.int64)
    return ranges[:, 0], ranges[:, 1]


def _unit_indices(document: Document, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ended = np.zeros(len(document) + 1, np.int32)  # units that end before each symbol
    np.cumsum(document.unit_ends, out=ended[1:])
    ended_before_piece = np.repeat(ended[starts], lengths)
    if document.boundary == "end_symbol":
        unit_of = ended[:-1] - ended_before_piece
        return unit_of, unit_of - np.int32(1)
    # `lagged`: position t reads symbol t - 1, and `bos` is a unit of its own.
    unit_of = np.empty(len(document), np.int32)
    known = np.empty(len(document), np.int32)
    unit_of[1:] = ended[:-2] - ended_before_piece[1:] + 1
    np.maximum(document.closed[:-1] - ended_before_piece[1:], 0, out=known[1:])
    unit_of[starts] = known[starts] = 0
    return unit_of, np.minimum(unit_of, known + 1) - np.int32(1)
