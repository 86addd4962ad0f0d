"""Rows of a batch that are being filled with pieces of documents, under all their budgets at once."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from lexitok.data.batch import Aligned, Batch, Budget, Tokens, empty_batch, row_seeds
from lexitok.data.layout import Piece
from lexitok.text.alignment import NONE


def pack_rows(
    rows: Sequence[Sequence[Piece]],
    *,
    symbols: int,
    units: int | None,
    pad: int,
    others: Sequence[Budget] = (),
    seed: Sequence[int] = (0,),
) -> Batch:
    """Packs pieces as given, a sequence of pieces a row, into a batch of numpy arrays.

    Args:
      rows: the pieces of each row; together within all budgets.
      symbols: `S`.
      units: `W`, or None for models whose symbols are units.
      pad: the symbol that fills rows.
      others: the budgets of the pieces' other tokenisations; empty to leave these out.
      seed: of the rows' own seeds.

    Raises:
      ValueError: a row does not fit its budgets, or a piece has not as many tokenisations; names the row.
    """
    filled = Rows(len(rows), Budget(symbols, units, pad), others)
    for row, pieces in enumerate(rows):
        for piece in pieces:
            filled.check(row, piece)
            filled.put(row, piece)
    return dataclasses.replace(filled.batch, seeds_B=row_seeds(len(rows), *seed))


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

    def __init__(self, rows: int, first: Budget, others: Sequence[Budget] = (), *, fit: str = "best"):
        self.batch = empty_batch(rows, first, others)
        self.pieces = np.zeros(rows, np.int64)
        self._first = _Side(self.batch.tokens, first)
        self._others = [_Other(*each) for each in zip(self.batch.others, others, strict=True)]
        self._choose = FITS[fit]

    def row_for(self, piece: Piece) -> int | None:
        """The row that takes the piece: `best`: the one that it leaves fullest; `first`; None: it fits into none."""
        fits, left = self._first.fits(piece), self._first.left
        for side, other in self._sides(piece):
            fits, left = fits & side.fits(other), left + side.left
        row = self._choose(fits, left)
        return row if fits[row] else None

    def put(self, row: int, piece: Piece) -> tuple[int, ...]:
        """Fills a row further, with a piece that fits; returns the column at which it begins, in each tokenisation."""
        self.pieces[row] += 1
        number = int(self.pieces[row])
        column = self._first.put(row, number, piece)
        return column, *(side.put_beside(row, number, other, column) for side, other in self._sides(piece))

    def check(self, row: int, piece: Piece) -> None:
        """Raises a ValueError unless the piece fits into the row; says which budget is too small."""
        self._first.check(row, piece, "")
        for number, (side, other) in enumerate(self._sides(piece), 2):
            side.check(row, other, f" of tokenisation {number}")

    def _sides(self, piece: Piece) -> Iterable[tuple["_Other", Piece]]:
        if len(piece.others) < len(self._others):
            raise ValueError(
                f"a piece in {len(piece.others)} other tokenisations cannot go into rows of {len(self._others)}: "
                "cut_together makes them"
            )
        return zip(self._others, piece.others, strict=False)


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


class _Other(_Side):
    """The rows of a tokenisation beside the first, with their spans."""

    def __init__(self, aligned: Aligned, budget: Budget):
        super().__init__(aligned.tokens, budget)
        self._aligned = aligned
        self._spans = np.zeros(len(aligned.tokens.symbols_BxS), np.int32)

    def put_beside(self, row: int, number: int, piece: Piece, first: int) -> int:
        """As `put`, of a piece that begins at column `first` in the first tokenisation."""
        column = self.put(row, number, piece)
        found, before, out = piece.alignment, self._spans[row], self._aligned.alignment
        assert found is not None
        for of, at, into in ((found.of_a, first, out.of_first_BxS), (found.of_b, column, out.of_second_BxT)):
            into[row, at : at + len(of)] = np.where(of == NONE, np.int32(NONE), of + before)
        self._spans[row] += found.count
        if self._aligned.predictions is not None:
            if piece.predictions is None:
                raise ValueError("a piece without predictions cannot go into rows that have those of a teacher")
            piece.predictions.put_into(self._aligned.predictions, row, column)
        return column
