"""How a document becomes model input: its symbols, the units they belong to, and what may be seen from where.

A document is a stream of symbols that are all predicted: its text symbols, end-of-unit symbols where the boundary
rule has them, and `eot` at the end. A *piece* is a range of that stream that fits a context. Its inputs are `bos`
followed by the range but for its last symbol, so every symbol of the document is the target of exactly one position,
the first one of every piece included: nothing is dropped.

Boundary rules (`lexitok.text.boundaries`) say which unit a position is pooled into (`unit_of`) and the newest unit
whose backbone output it may see (`guide_of`, -1: none).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from lexitok.text.boundaries import RULES, SymbolStream


@dataclasses.dataclass(frozen=True)
class Piece:
    """A range of a document as model input, `n` positions and `u` units long; indices count from the piece's start.

    Attributes:
      symbols, targets: int32 `[n]`.
      weights: float32 `[n]`, 0 where a target is only context (it was scored in an earlier piece) or not predicted.
      nbytes: int32 `[n]`, raw bytes of each target.
      unit_of, guide_of: int32 `[n]`.
      units: `u`; 0 where it is the model that makes them.
    """

    symbols: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    nbytes: np.ndarray
    unit_of: np.ndarray
    guide_of: np.ndarray
    units: int


def make_piece(document: SymbolStream, start: int, stop: int, scored_from: int | None = None) -> Piece:
    """The piece whose targets are `document.symbols[start:stop]`; those before `scored_from` have weight 0."""
    targets = document.symbols[start:stop]
    symbols = np.concatenate([[document.bos], targets[:-1]]).astype(np.int32)
    unit_of, guide_of = unit_indices(document, np.array([start]), np.array([stop - start]))
    weights = document.predicted[start:stop].astype(np.float32)
    weights[: max(0, (scored_from or start) - start)] = 0
    return Piece(
        symbols=symbols,
        targets=targets.astype(np.int32),
        weights=weights,
        nbytes=document.nbytes[start:stop].astype(np.int32),
        unit_of=unit_of,
        guide_of=guide_of,
        units=0 if RULES[document.boundary].by_model else int(unit_of[-1]) + 1,
    )


def unit_indices(document: SymbolStream, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`unit_of` and `guide_of` of consecutive pieces.

    Args:
      document: the document.
      starts, lengths: int64 `[pieces]`, the targets of each; one piece begins where the one before it ends.

    Returns:
      Each int32, as long as all pieces together, counted from the start of each piece.
    """
    first, last = int(starts[0]), int(starts[-1] + lengths[-1])
    begins = np.zeros(last - first, bool)
    begins[starts - first] = True
    # Position t reads symbol t - 1: the units that end before that symbol, whether one ends with it, and those known
    # to be complete once it is read, all counted from the start of the piece.
    ended = np.zeros(last - first + 1, np.int32)
    np.cumsum(document.unit_ends[first:last], out=ended[1:])
    before_piece = np.repeat(ended[starts - first], lengths)
    closed_before = np.repeat(int(document.unit_ends[:first].sum()) + ended[starts - first], lengths)
    through = ended[:-1] - before_piece
    ends_here = np.append(False, document.unit_ends[first : last - 1]) & ~begins
    before = through - ends_here
    known = np.append(0, document.closed[first : last - 1]) - closed_before
    rule = RULES[document.boundary]
    unit_of, guide_of = rule.indices(before, through, np.where(begins, 0, np.maximum(known, 0)), begins)
    return unit_of.astype(np.int32), guide_of.astype(np.int32)


def split_document(document: SymbolStream, symbols: int, units: int) -> Iterator[Piece]:
    """Cuts a document into pieces of at most `symbols` positions and `units` units, at ends of units where possible.

    Raises:
      ValueError: a budget is too small to make progress.
    """
    for start, stop in piece_ranges(document, symbols, units):
        yield make_piece(document, start, stop)


def piece_ranges(document: SymbolStream, symbols: int, units: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of targets that cover the document, each within both budgets."""
    start = 0
    while start < len(document):
        stop = longest_stop(document, start, symbols, units)
        yield start, stop
        start = stop


def longest_stop(document: SymbolStream, start: int, symbols: int, units: int) -> int:
    """The furthest end of a piece that begins at `start`: at a unit's end if one is in reach, else in mid-unit."""
    if symbols < 1 or units < 2:
        raise ValueError(f"budgets of {symbols} symbols and {units} units are too small: 1 and 2 are the least")
    stop = min(len(document), start + symbols)
    rule = RULES[document.boundary]
    if rule.by_model:
        return stop
    if stop == len(document) and _units_in(document, start, stop) <= units:
        return stop
    if not rule.counted:
        return min(stop, start + units)
    ends = start + 1 + np.flatnonzero(document.unit_ends[start:stop])
    ends = ends[: units - rule.bos_is_unit]
    return int(ends[-1]) if len(ends) else stop


def _units_in(document: SymbolStream, start: int, stop: int) -> int:
    rule = RULES[document.boundary]
    if not rule.counted:
        return stop - start
    return 1 + int(document.unit_ends[start : stop - 1].sum()) + rule.bos_is_unit
