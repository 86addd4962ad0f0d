"""`Batch`: what every model reads. Rows hold packed pieces of documents; `S` symbols and `W` units are the budgets.

A batch may hold its bytes in a second tokenisation too, under budgets of its own (`T` symbols). Piece `n` of a row then
is the same bytes on both sides, and the alignment says which targets stand for the same ones; nothing is ever matched
by its position.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.encoders import Encoder
from lexitok.data.layout import Piece
from lexitok.text.alignment import NONE

# A leaf is a JAX or a numpy array, or what a tree map puts in its place (a shape, a sharding, None).
IntLeafB = Int[Array, "B"] | Any
IntLeafBxS = Int[Array, "B S"] | Any
FloatLeafBxS = Float[Array, "B S"] | Any
IntLeafBxT = Int[Array, "B T"] | Any
IntLeafBxW = Int[Array, "B W"] | Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Units:
    """The units of a batch (see `lexitok.data.layout` for the two index arrays that define them).

    Attributes:
      of_BxS: index in its row of the unit that a symbol is pooled into; `W` at padding (no unit).
      guide_BxS: index in its row of the newest unit whose backbone output the position may see; -1: none.
      segments_BxW: piece that the unit belongs to, counted from 1; 0 at padding.
      positions_BxW: position of the unit in its piece.
    """

    of_BxS: IntLeafBxS
    guide_BxS: IntLeafBxS
    segments_BxW: IntLeafBxW
    positions_BxW: IntLeafBxW


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tokens:
    """One tokenisation of rows of packed pieces.

    Attributes:
      symbols_BxS, targets_BxS: what is read and what is to be predicted.
      weights_BxS: 1 where the target is scored; 0 at padding and where it is only context.
      bytes_BxS: raw bytes that the target stands for; 0 at padding.
      segments_BxS: piece that the position belongs to, counted from 1; 0 at padding.
      positions_BxS: position in the piece.
      units: for byte-unit models; None where every symbol is a unit. Where the model makes its units, they are empty,
        and only say how many a row has room for.
    """

    symbols_BxS: IntLeafBxS
    targets_BxS: IntLeafBxS
    weights_BxS: FloatLeafBxS
    bytes_BxS: IntLeafBxS
    segments_BxS: IntLeafBxS
    positions_BxS: IntLeafBxS
    units: Units | Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Alignment:
    """The spans of rows: stretches of bytes at whose ends both tokenisations end (`lexitok.text.alignment`).

    Attributes:
      of_first_BxS, of_second_BxT: the span of each target, counted from 0 in its row, so that sums over the spans of a
        row have `spans` places; `NONE` (-1) for a target that is in no span, and at padding.
    """

    of_first_BxS: IntLeafBxS
    of_second_BxT: IntLeafBxT

    @property
    def spans(self) -> int:
        """How many a row has room for: each takes a target at least, on both sides."""
        return min(self.of_first_BxS.shape[1], self.of_second_BxT.shape[1])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """What every model reads.

    Attributes:
      tokens: rows of packed pieces.
      seeds_B: of what a model draws at random for each row (`lexitok.interfaces.lexinvariant`).
      second: the same bytes, piece by piece, in a second tokenisation; None without one.
      alignment: of the targets of `tokens` and `second`.
    """

    tokens: Tokens | Any
    seeds_B: IntLeafB
    second: Tokens | Any = None
    alignment: Alignment | Any = None


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a row has room for, of one tokenisation.

    Attributes:
      S: symbols.
      W: units; None for models whose symbols are units.
      pad: the symbol that fills what is left.
    """

    S: int
    W: int | None
    pad: int

    @classmethod
    def of(cls, encoder: Encoder, symbols: int, units: int) -> "Budget":
        """Of an encoder's symbols; `units` counts where symbols are not units."""
        return cls(symbols, units if encoder.rule.has_units else None, encoder.vocabulary.pad)


def empty_batch(
    rows: int,
    first: Budget,
    second: Budget | None = None,
    *,
    array: Callable[[tuple[int, ...], int, Any], Any] = np.full,
) -> Batch:
    """The batch that packing begins with: its shapes are those of every batch.

    Args:
      rows: `B`.
      first, second: budgets of a row; `second` None without a second tokenisation.
      array: makes a leaf of its shape, what it is filled with and its type; another than `np.full` can describe it.
    """
    tokens = _no_tokens(rows, first, array)
    seeds_B = array((rows,), 0, np.int32)
    if second is None:
        return Batch(tokens, seeds_B)
    none = Alignment(array((rows, first.S), NONE, np.int32), array((rows, second.S), NONE, np.int32))
    return Batch(tokens, seeds_B, _no_tokens(rows, second, array), none)


def _no_tokens(rows: int, budget: Budget, array: Callable[[tuple[int, ...], int, Any], Any]) -> Tokens:
    shape = (rows, budget.S)
    return Tokens(
        symbols_BxS=array(shape, budget.pad, np.int32),
        targets_BxS=array(shape, budget.pad, np.int32),
        weights_BxS=array(shape, 0, np.float32),
        bytes_BxS=array(shape, 0, np.int32),
        segments_BxS=array(shape, 0, np.int32),
        positions_BxS=array(shape, 0, np.int32),
        units=None
        if budget.W is None
        else Units(
            of_BxS=array(shape, budget.W, np.int32),
            guide_BxS=array(shape, -1, np.int32),
            segments_BxW=array((rows, budget.W), 0, np.int32),
            positions_BxW=array((rows, budget.W), 0, np.int32),
        ),
    )


def row_seeds(rows: int, *seed: int) -> np.ndarray:
    """int32 `[rows]`, from the seed and a row's number alone: no row depends on how many there are."""
    states = (np.random.SeedSequence((*seed, row)).generate_state(1)[0] for row in range(rows))
    return np.array([state >> 1 for state in states], np.int32)


def pack_rows(
    rows: Sequence[Sequence[Piece]],
    *,
    symbols: int,
    units: int | None,
    pad: int,
    second: Budget | None = None,
    seed: Sequence[int] = (0,),
) -> Batch:
    """Packs pieces as given, a sequence of pieces a row, into a batch of numpy arrays.

    Args:
      rows: the pieces of each row; together within all budgets.
      symbols: `S`.
      units: `W`, or None for models whose symbols are units.
      pad: the symbol that fills rows.
      second: the budget of the pieces' second tokenisation; None to leave that out.
      seed: of the rows' own seeds.

    Raises:
      ValueError: a row does not fit its budgets, or a piece has no second tokenisation; names the row.
    """
    filling = Rows(len(rows), Budget(symbols, units, pad), second)
    for row, pieces in enumerate(rows):
        for piece in pieces:
            filling.check(row, piece)
            filling.put(row, piece)
    return dataclasses.replace(filling.batch, seeds_B=row_seeds(len(rows), *seed))


def _fullest(fits: np.ndarray, left: np.ndarray) -> int:
    return int(np.where(fits, left, np.iinfo(left.dtype).max).argmin())


def _first(fits: np.ndarray, left: np.ndarray) -> int:
    del left
    return int(fits.argmax())


FITS = {"best": _fullest, "first": _first}  # which of the rows that have room takes a piece


class Rows:
    """Rows that are being filled, under all their budgets at once.

    Attributes:
      batch: what the rows hold, numpy arrays; what no piece has filled is padding.
      pieces: int64 `[rows]`, how many pieces each row holds.
    """

    def __init__(self, rows: int, first: Budget, second: Budget | None = None, *, fit: str = "best"):
        self.batch = empty_batch(rows, first, second)
        self.pieces = np.zeros(rows, np.int64)
        self._first = _Side(self.batch.tokens, first)
        self._second = None if second is None else _Side(self.batch.second, second)
        self._spans = np.zeros(rows, np.int32)
        self._choose = FITS[fit]

    def row_for(self, piece: Piece) -> int | None:
        """The row that takes the piece: `best`: the one that it leaves fullest; `first`; None: it fits into none."""
        fits, left = self._first.fits(piece), self._first.left
        if self._second is not None:
            fits, left = fits & self._second.fits(_second_of(piece)), left + self._second.left
        row = self._choose(fits, left)
        return row if fits[row] else None

    def put(self, row: int, piece: Piece) -> int:
        """Fills a row further, with a piece that fits; returns the column at which it begins."""
        self.pieces[row] += 1
        number = int(self.pieces[row])
        column = self._first.put(row, number, piece)
        if self._second is not None:
            second = _second_of(piece)
            self._put_spans(row, piece, column, self._second.put(row, number, second))
        return column

    def check(self, row: int, piece: Piece) -> None:
        """Raises a ValueError unless the piece fits into the row; says which budget is too small."""
        self._first.check(row, piece, "")
        if self._second is not None:
            self._second.check(row, _second_of(piece), " of the second tokenisation")

    def _put_spans(self, row: int, piece: Piece, column: int, second_column: int) -> None:
        found, before, out = piece.alignment, self._spans[row], self.batch.alignment
        assert found is not None
        for of, at, into in ((found.of_a, column, out.of_first_BxS), (found.of_b, second_column, out.of_second_BxT)):
            into[row, at : at + len(of)] = np.where(of == NONE, np.int32(NONE), of + before)
        self._spans[row] += found.count


def _second_of(piece: Piece) -> Piece:
    if piece.second is None or piece.alignment is None:
        raise ValueError(
            "a piece without a second tokenisation cannot go into rows that have one: cut_together makes it"
        )
    return piece.second


class _Side:
    """The rows of one tokenisation, and what is left of their budgets.

    Attributes:
      left: int64 `[rows]`, symbols and units that each row has room for, together.
    """

    def __init__(self, tokens: Tokens, budget: Budget):
        self._tokens, self._budget = tokens, budget
        rows = len(tokens.symbols_BxS)
        self._free_S = np.full(rows, budget.S, np.int64)
        self._free_W = np.full(rows, budget.W or 0, np.int64)
        self.left = self._free_S + self._free_W
        self._count = np.arange(max(budget.S, budget.W or 0), dtype=np.int32)

    def fits(self, piece: Piece) -> np.ndarray:
        """bool `[rows]`: which have room for the piece."""
        fits = self._free_S >= len(piece)
        return fits if self._budget.W is None else fits & (self._free_W >= piece.units)

    def check(self, row: int, piece: Piece, of: str) -> None:
        sizes = [("symbols", self._budget.S, self._free_S, len(piece))]
        if self._budget.W is not None:
            sizes.append(("units", self._budget.W, self._free_W, piece.units))
        for name, budget, free, needed in sizes:
            if needed > free[row]:
                raise ValueError(f"row {row} holds {budget - free[row] + needed} {name}{of}, its budget is {budget}")

    def put(self, row: int, number: int, piece: Piece) -> int:
        tokens, n = self._tokens, len(piece)
        begin = self._budget.S - int(self._free_S[row])
        self._free_S[row] -= n
        self.left[row] -= n
        at = (row, slice(begin, begin + n))
        tokens.symbols_BxS[at] = piece.symbols
        tokens.targets_BxS[at] = piece.targets
        tokens.weights_BxS[at] = piece.weights
        tokens.bytes_BxS[at] = piece.nbytes
        tokens.segments_BxS[at] = number
        tokens.positions_BxS[at] = self._count[:n]
        if self._budget.W is not None and piece.units:
            self._put_units(at, number, piece, self._budget.W - int(self._free_W[row]))
            self._free_W[row] -= piece.units
            self.left[row] -= piece.units
        return begin

    def _put_units(self, at: tuple[int, slice], number: int, piece: Piece, begin: int) -> None:
        units = self._tokens.units
        units.of_BxS[at] = piece.unit_of + begin
        units.guide_BxS[at] = np.where(piece.guide_of < 0, np.int32(-1), piece.guide_of + begin)
        at = (at[0], slice(begin, begin + piece.units))
        units.segments_BxW[at] = number
        units.positions_BxW[at] = self._count[: piece.units]
