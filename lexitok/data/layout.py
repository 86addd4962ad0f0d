"""How a document becomes model input: its symbols, the units they belong to, and what may be seen from where.

A document is a stream of symbols that are all predicted: its text symbols, end-of-unit symbols where the boundary
rule has them, and `eot` at the end. A *piece* is a range of that stream that fits a context. Its inputs are `bos`
followed by the range but for its last symbol, so every symbol of the document is the target of exactly one position,
the first one of every piece included: nothing is dropped.

Boundary rules say which unit a position is pooled into (`unit_of`) and the newest unit whose backbone output it may
see (`guide_of`, -1: none):

- `none`: every symbol is a unit (`TokenLM`).
- `lagged` (HAT v2): `bos` is a unit of its own; a position sees the unit before its own, as far as the splitter knew
  it to be complete by then.
- `end_symbol` (HAT v1): a unit is opened by `bos` or by the symbol that closed the unit before, which serves as its
  slot; a position sees the unit before its own. A unit may have further slots, which are read and not predicted.
- `revealed` (SpaceByte, BLT, AU-Net, H-Net): a unit ends with the byte that reveals that it does, and that byte sees
  it. `bos` is a unit of its own.
- `fused` (Bolmo): as `revealed`; each symbol says of its byte whether a unit ends behind it.
- `model`: as `revealed`, but it is the model that says where units end.
"""

import dataclasses

import numpy as np

from lexitok.text.alignment import Alignment

BOUNDARIES = ("none", "lagged", "end_symbol", "revealed", "fused", "model")
UNCOUNTED = ("none", "model")  # there is no budget of units


@dataclasses.dataclass(frozen=True)
class SymbolStream:
    """A document's stream of targets, `n` symbols long.

    Attributes:
      symbols: int32 `[n]`.
      nbytes: int32 `[n]`, raw bytes that each symbol stands for; their sum is the length of the raw document.
      unit_ends: bool `[n]`, the symbol is the last of its unit.
      closed: int32 `[n]`, units of the document known to be complete once the symbol has been read.
      predicted: bool `[n]`; the others are only read: they follow from the symbols before them.
      boundary: one of `BOUNDARIES`.
      bos: the symbol that opens every piece.
    """

    symbols: np.ndarray
    nbytes: np.ndarray
    unit_ends: np.ndarray
    closed: np.ndarray
    predicted: np.ndarray
    boundary: str
    bos: int

    def __len__(self) -> int:
        return len(self.symbols)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A range of a stream as model input, `n` positions and `u` units long; indices count from the piece's start.

    Attributes:
      symbols, targets: int32 `[n]`.
      weights: float32 `[n]`, 0 where a target is only context (it was scored in an earlier piece) or not predicted.
      nbytes: int32 `[n]`, raw bytes of each target.
      unit_of, guide_of: int32 `[n]`.
      units: `u`; 0 where it is the model that makes them.
      second: the same bytes of the document in a second tokenisation (`lexitok.data.two_streams`); None without one.
      alignment: of the targets of both.
    """

    symbols: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    nbytes: np.ndarray
    unit_of: np.ndarray
    guide_of: np.ndarray
    units: int
    second: "Piece | None" = None
    alignment: Alignment | None = None

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
    own = stream.boundary in UNCOUNTED  # each symbol is a unit by itself, or the model makes them
    each = np.arange(max(b - a for a, b in zip(begins, ends, strict=True)) if own else 0, dtype=np.int32)
    unit_of, guide_of = (each, each) if own else unit_indices(stream, starts, np.diff(starts, append=last))
    pieces = []
    for a, b in zip(begins, ends, strict=True):
        at = slice(0, b - a) if own else slice(a, b)
        units = 0 if stream.boundary == "model" else int(unit_of[at.stop - 1]) + 1
        pieces.append(Piece(symbols[a:b], targets[a:b], weights[a:b], nbytes[a:b], unit_of[at], guide_of[at], units))
    return pieces


def make_piece(stream: SymbolStream, start: int, stop: int, scored_from: int | None = None) -> Piece:
    """The piece whose targets are `stream.symbols[start:stop]`; those before `scored_from` have weight 0."""
    (piece,) = pieces_at(stream, np.array([start]), stop)
    piece.weights[: max(0, (scored_from or start) - start)] = 0
    return piece


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
    unit_of, guide_of = RULES[document.boundary](before, through, np.where(begins, 0, np.maximum(known, 0)), begins)
    return unit_of.astype(np.int32), guide_of.astype(np.int32)


def _each(before, through, known, begins):
    at = np.arange(len(before)) - np.maximum.accumulate(np.where(begins, np.arange(len(before)), 0))
    return at, at


def _lagged(before, through, known, begins):
    unit_of = np.where(begins, 0, before + 1)  # `bos` is unit 0
    return unit_of, np.minimum(unit_of, np.where(begins, 0, known + 1)) - 1


def _end_symbol(before, through, known, begins):
    return through, through - 1


def _revealed(before, through, known, begins):
    return np.where(begins, 0, before + 1), through  # counted with `bos`, `through` is the newest complete unit


RULES = {
    "none": _each,
    "lagged": _lagged,
    "end_symbol": _end_symbol,
    "revealed": _revealed,
    "fused": _revealed,
    "model": _each,  # not used: the model makes its own
}


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
    if W is None or stream.boundary == "model":
        return stop
    if stream.boundary == "none":
        return min(stop, start + W)
    ends = np.flatnonzero(stream.unit_ends[start:stop])
    most = W - (stream.boundary != "end_symbol")  # elsewhere, `bos` is a unit of its own
    return start + int(ends[most - 1]) + 1 if len(ends) >= most else stop


def _starts(stream: SymbolStream, S: int, W: int | None) -> np.ndarray:
    if S > 0 and (stream.boundary == "model" or (W is None and stream.boundary == "none")):
        return np.arange(0, len(stream), S)
    starts, stop = [0], longest_stop(stream, 0, S, W)
    while stop < len(stream):
        starts.append(stop)
        stop = longest_stop(stream, stop, S, W)
    return np.array(starts, np.int64)
