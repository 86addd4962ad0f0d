"""`Batch`: what every model reads. Rows hold packed pieces of documents; `S` symbols and `W` units are the budgets."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.layout import Piece

# A leaf is a JAX or a numpy array, or what a tree map puts in its place (a shape, a sharding, None).
IntLeafB = Int[Array, "B"] | Any
IntLeafBxS = Int[Array, "B S"] | Any
FloatLeafBxS = Float[Array, "B S"] | Any
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
class Batch:
    """What every model reads.

    Attributes:
      tokens: rows of packed pieces.
      seeds_B: of what a model draws at random for each row (`lexitok.interfaces.lexinvariant`).
    """

    tokens: Tokens | Any
    seeds_B: IntLeafB


def row_seeds(rows: int, *seed: int) -> np.ndarray:
    """int32 `[rows]`, from the seed and a row's number alone: no row depends on how many there are."""
    states = (np.random.SeedSequence((*seed, row)).generate_state(1)[0] for row in range(rows))
    return np.array([state >> 1 for state in states], np.int32)


def pack_rows(
    rows: Sequence[Sequence[Piece]], *, symbols: int, units: int | None, pad: int, seed: Sequence[int] = (0,)
) -> Batch:
    """Packs pieces as given, a sequence of pieces a row, into a batch of numpy arrays.

    Args:
      rows: the pieces of each row; together within both budgets.
      symbols: `S`.
      units: `W`, or None for models whose symbols are units.
      pad: the symbol that fills rows.
      seed: of the rows' own seeds.

    Raises:
      ValueError: a row does not fit its budgets; names the row and by how much.
    """
    shape = (len(rows), symbols)
    tokens = Tokens(
        symbols_BxS=np.full(shape, pad, np.int32),
        targets_BxS=np.full(shape, pad, np.int32),
        weights_BxS=np.zeros(shape, np.float32),
        bytes_BxS=np.zeros(shape, np.int32),
        segments_BxS=np.zeros(shape, np.int32),
        positions_BxS=np.zeros(shape, np.int32),
        units=None if units is None else _no_units(len(rows), symbols, units),
    )
    for row, pieces in enumerate(rows):
        _fill_row(tokens, row, pieces)
    return Batch(tokens, row_seeds(len(rows), *seed))


def _no_units(rows: int, symbols: int, units: int) -> Units:
    return Units(
        of_BxS=np.full((rows, symbols), units, np.int32),
        guide_BxS=np.full((rows, symbols), -1, np.int32),
        segments_BxW=np.zeros((rows, units), np.int32),
        positions_BxW=np.zeros((rows, units), np.int32),
    )


def _fill_row(out: Tokens, row: int, pieces: Sequence[Piece]) -> None:
    length, capacity = sum(len(p.symbols) for p in pieces), out.symbols_BxS.shape[1]
    if length > capacity:
        raise ValueError(f"row {row} holds {length} symbols, its budget is {capacity}")
    s = w = 0
    for number, piece in enumerate(pieces, start=1):
        n = len(piece.symbols)
        at = (row, slice(s, s + n))
        out.symbols_BxS[at] = piece.symbols
        out.targets_BxS[at] = piece.targets
        out.weights_BxS[at] = piece.weights
        out.bytes_BxS[at] = piece.nbytes
        out.segments_BxS[at] = number
        out.positions_BxS[at] = np.arange(n)
        if out.units is not None and piece.units:
            _fill_units(out.units, row, slice(s, s + n), w, number, piece)
            w += piece.units
        s += n


def _fill_units(units: Units, row: int, columns: slice, offset: int, number: int, piece: Piece) -> None:
    capacity = units.segments_BxW.shape[1]
    if offset + piece.units > capacity:
        raise ValueError(f"row {row} holds {offset + piece.units} units, its budget is {capacity}")
    units.of_BxS[row, columns] = piece.unit_of + offset
    units.guide_BxS[row, columns] = np.where(piece.guide_of < 0, -1, piece.guide_of + offset)
    at = (row, slice(offset, offset + piece.units))
    units.segments_BxW[at] = number
    units.positions_BxW[at] = np.arange(piece.units)
