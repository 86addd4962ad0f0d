"""A document's pieces, all at once: what `lexitok.data.layout.make_piece` says of each, as arrays over the document."""

import dataclasses

import numpy as np

from lexitok.data.layout import piece_ranges, unit_indices
from lexitok.text.boundaries import RULES, SymbolStream


@dataclasses.dataclass(frozen=True)
class Stretches:
    """The pieces of a document of `n` symbols, end to end.

    Attributes:
      symbols, targets, nbytes, unit_of, guide_of: int32 `[n]`, as in `Piece`; `unit_of` and `guide_of` count from the
        start of their piece, and are None where the model makes its units, or its symbols are units.
      weights: float32 `[n]`, 0 where a target is not predicted.
      starts, lengths: int64 `[pieces]`, in symbols.
      units: int64 `[pieces]`; 0 where there are none in the data.
    """

    symbols: np.ndarray
    targets: np.ndarray
    nbytes: np.ndarray
    weights: np.ndarray
    unit_of: np.ndarray | None
    guide_of: np.ndarray | None
    starts: np.ndarray
    lengths: np.ndarray
    units: np.ndarray


def cut(document: SymbolStream, symbols: int, units: int | None) -> Stretches:
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
    if units is not None and RULES[document.boundary].counted:
        unit_of, guide_of = unit_indices(document, starts, lengths)
        counts = unit_of[stops - 1].astype(np.int64) + 1
    weights = document.predicted.astype(np.float32)
    return Stretches(read, document.symbols, document.nbytes, weights, unit_of, guide_of, starts, lengths, counts)


def _ranges(document: SymbolStream, symbols: int, units: int | None) -> tuple[np.ndarray, np.ndarray]:
    rule = RULES[document.boundary]
    if symbols > 0 and (rule.by_model or (units is None and not rule.has_units)):
        starts = np.arange(0, len(document), symbols)
        return starts, np.minimum(starts + symbols, len(document))
    ranges = np.array(list(piece_ranges(document, symbols, max(2, symbols + 1) if units is None else units)), np.int64)
    return ranges[:, 0], ranges[:, 1]
