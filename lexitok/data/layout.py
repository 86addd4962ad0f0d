"""How a document becomes model input: its symbols, the units they belong to, and what may be seen from where.

A document is a stream of symbols that are all predicted: its text symbols, end-of-unit symbols where the boundary
rule has them, and `eot` at the end. A *piece* is a range of that stream that fits a context. Its inputs are `bos`
followed by the range but for its last symbol, so every symbol of the document is the target of exactly one position,
the first one of every piece included: nothing is dropped.

Boundary rules (`lexitok.text.boundaries`) say which unit a position is pooled into (`unit_of`) and the newest unit
whose backbone output it may see (`guide_of`, -1: none).
"""

import dataclasses

import numpy as np

from lexitok.data.predictions import Predictions
from lexitok.text.alignment import Alignment
from lexitok.text.boundaries import RULES, SymbolStream


@dataclasses.dataclass(frozen=True)
class Piece:
    """A range of a stream as model input, `n` positions and `u` units long; indices count from the piece's start.

    Attributes:
      symbols, targets: int32 `[n]`.
      weights: float32 `[n]`, 0 where a target is only context (it was scored in an earlier piece) or not predicted.
      nbytes: int32 `[n]`, raw bytes of each target.
      unit_of, guide_of: int32 `[n]`.
      units: `u`; 0 where it is the model that makes them.
      others: the same bytes of the document in other tokenisations (`lexitok.data.aligned_streams`).
      alignment: of one of these, of the first tokenisation's targets and its own.
      predictions: of one of these, a teacher's at its targets.
    """

    symbols: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    nbytes: np.ndarray
    unit_of: np.ndarray
    guide_of: np.ndarray
    units: int
    others: "tuple[Piece, ...]" = ()
    alignment: Alignment | None = None
    predictions: Predictions | None = None

    def __len__(self) -> int:
        return len(self.symbols)


def cut(stream: SymbolStream, S: int, W: int | None) -> list[Piece]:
    """The pieces of a stream, end to end: at most `S` positions and `W` units each, cut at ends of units if possible.

    Raises:
      ValueError: a budget is too small to make progress.
    """
    return pieces_at(stream, _starts(stream, S, W))


def pieces_at(stream: SymbolStream, starts: np.ndarray, stop: int | None = None) -> list[Piece]:
    """Consecutive pieces: each begins at one of `starts` and ends where the next begins, the last one at `stop`.

    Args:
      stream: the stream.
      starts: int64 `[pieces]`, rising.
      stop: None: the end of the stream.
    """
    first, last = int(starts[0]), len(stream) if stop is None else stop
    targets = stream.symbols[first:last].astype(np.int32, copy=False)
    nbytes = stream.nbytes[first:last].astype(np.int32, copy=False)
    weights = stream.predicted[first:last].astype(np.float32)
    symbols = np.empty(len(targets), np.int32)
    symbols[1:] = targets[:-1]
    symbols[starts - first] = stream.bos
    begins = (starts - first).tolist()
    ends = [*begins[1:], len(targets)]
    rule = RULES[stream.boundary]
    own = not rule.counted  # each symbol is a unit by itself, or the model makes them
    each = np.arange(max(b - a for a, b in zip(begins, ends, strict=True)) if own else 0, dtype=np.int32)
    unit_of, guide_of = (each, each) if own else unit_indices(stream, starts, np.diff(starts, append=last))
    pieces = []
    for a, b in zip(begins, ends, strict=True):
        at = slice(0, b - a) if own else slice(a, b)
        units = 0 if rule.by_model else int(unit_of[at.stop - 1]) + 1
        pieces.append(Piece(symbols[a:b], targets[a:b], weights[a:b], nbytes[a:b], unit_of[at], guide_of[at], units))
    return pieces


def make_piece(stream: SymbolStream, start: int, stop: int, scored_from: int | None = None) -> Piece:
    """The piece whose targets are `stream.symbols[start:stop]`; those before `scored_from` have weight 0."""
    (piece,) = pieces_at(stream, np.array([start]), stop)
    piece.weights[: max(0, (scored_from or start) - start)] = 0
    return piece


def unit_indices(stream: SymbolStream, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`unit_of` and `guide_of` of consecutive pieces.

    Args:
      stream: of the document.
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
    np.cumsum(stream.unit_ends[first:last], out=ended[1:])
    before_piece = np.repeat(ended[starts - first], lengths)
    closed_before = np.repeat(int(stream.unit_ends[:first].sum()) + ended[starts - first], lengths)
    through = ended[:-1] - before_piece
    ends_here = np.append(False, stream.unit_ends[first : last - 1]) & ~begins
    before = through - ends_here
    known = np.append(0, stream.closed[first : last - 1]) - closed_before
    rule = RULES[stream.boundary]
    unit_of, guide_of = rule.indices(before, through, np.where(begins, 0, np.maximum(known, 0)), begins)
    return unit_of.astype(np.int32), guide_of.astype(np.int32)


def longest_stop(stream: SymbolStream, start: int, S: int, W: int | None) -> int:
    """The furthest end of a piece that begins at `start`: at a unit's end if one is in reach, else in mid-unit.

    Raises:
      ValueError: a budget is too small to make progress.
    """
    stop = reach(stream, start, S, W)
    if stop == len(stream) or stream.unit_ends[stop - 1]:
        return stop
    ends = np.flatnonzero(stream.unit_ends[start:stop])
    return start + int(ends[-1]) + 1 if len(ends) else stop


def reach(stream: SymbolStream, start: int, S: int, W: int | None) -> int:
    """How far a piece that begins at `start` gets within both budgets, be it in mid-unit.

    The last unit that there is room for ends the piece; whether a unit of one symbol would fit behind it is not asked.

    Raises:
      ValueError: a budget is too small to make progress.
    """
    if S < 1 or (W is not None and W < 2):
        raise ValueError(f"budgets of {S} symbols and {W} units are too small: 1 and 2 are the least")
    stop = min(len(stream), start + S)
    rule = RULES[stream.boundary]
    if W is None or rule.by_model:
        return stop
    if not rule.counted:
        return min(stop, start + W)
    ends = np.flatnonzero(stream.unit_ends[start:stop])
    most = W - rule.bos_is_unit
    return start + int(ends[most - 1]) + 1 if len(ends) >= most else stop


def _starts(stream: SymbolStream, S: int, W: int | None) -> np.ndarray:
    rule = RULES[stream.boundary]
    if S > 0 and (rule.by_model or (W is None and not rule.has_units)):
        return np.arange(0, len(stream), S)
    starts, stop = [0], longest_stop(stream, 0, S, W)
    while stop < len(stream):
        starts.append(stop)
        stop = longest_stop(stream, stop, S, W)
    return np.array(starts, np.int64)
