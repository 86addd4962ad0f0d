"""`Batch`: what every model reads. Rows hold packed pieces of documents; `S` symbols and `W` units are the budgets.

A batch may hold its bytes in other tokenisations too, each under budgets of its own (`T` symbols). Piece `n` of a row
then is the same bytes in all of them, and alignments say which targets stand for the same ones as those of the first;
nothing is ever matched by its position.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.encoders import Encoder
from lexitok.data.predictions import KeptPredictions, Predictions
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
class Aligned:
    """The same bytes, piece by piece, in another tokenisation.

    Attributes:
      tokens: rows of the same pieces.
      alignment: of the targets of the batch's own tokens and of these.
      predictions: of a teacher that was asked before, at these targets; None without one.
    """

    tokens: Tokens | Any
    alignment: Alignment | Any
    predictions: Predictions | Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """What every model reads.

    Attributes:
      tokens: rows of packed pieces.
      seeds_B: of what a model draws at random for each row (`lexitok.interfaces.lexinvariant`).
      others: the same bytes in other tokenisations, as many as an objective asks for.
      vocabulary: arrays that interfaces make the vectors of symbols from (`Interface.bind`), where the batch's symbols
        are of a vocabulary of its own; None: they are of the model's. All rows share it, so it is split with none.
    """

    tokens: Tokens | Any
    seeds_B: IntLeafB
    others: tuple[Aligned, ...] | Any = ()
    vocabulary: Any = None


def map_rows(of_rows: Callable[[Any], Any], batch: Batch, whole: Callable[[Any], Any] = lambda x: x) -> Batch:
    """The batch with `of_rows` of each array `[B, ...]`, and `whole` of those that all rows share."""
    rows = jax.tree.map(of_rows, dataclasses.replace(batch, vocabulary=None))
    return dataclasses.replace(rows, vocabulary=jax.tree.map(whole, batch.vocabulary))


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a row has room for, of one tokenisation.

    Attributes:
      S: symbols.
      W: units; None for models whose symbols are units.
      pad: the symbol that fills what is left.
      top_k: of another tokenisation, logits at each target that a teacher's predictions have; 0: there are none.
    """

    S: int
    W: int | None
    pad: int
    top_k: int = 0

    @classmethod
    def of(cls, encoder: Encoder, symbols: int, units: int) -> "Budget":
        """Of an encoder's symbols; `units` counts where symbols are not units."""
        return cls(symbols, units if encoder.rule.has_units else None, encoder.vocabulary.pad)


@dataclasses.dataclass(frozen=True)
class Tokenisation:
    """Another tokenisation that every batch is to hold.

    Attributes:
      encoder: of its symbols.
      symbols, units: its budgets of a row (`units` where symbols are not units).
      kept: what a teacher predicted of the documents in it; None without that.
    """

    encoder: Encoder
    symbols: int
    units: int
    kept: KeptPredictions | None = None

    @property
    def budget(self) -> Budget:
        """What a row has room for."""
        budget = Budget.of(self.encoder, self.symbols, self.units)
        return budget if self.kept is None else dataclasses.replace(budget, top_k=self.kept.top_k)

    @property
    def described(self) -> dict[str, Any]:
        """What of a pipeline's state says that it is this one."""
        budget, template = self.budget, getattr(self.encoder, "template", "")
        return {
            "vocabulary": self.encoder.vocabulary.fingerprint,
            "boundary": self.encoder.boundary,
            "symbols": budget.S,
            "units": budget.W,
            **({"template": template} if template else {}),
            **({} if self.kept is None else {"predictions": self.kept.fingerprint}),
        }


def described(others: Sequence[Tokenisation]) -> dict[str, Any]:
    """What the state of a pipeline says of tokenisations beside the first."""
    settings = [other.described for other in others]
    return {} if not settings else {"second": settings[0]} | ({"further": settings[1:]} if settings[1:] else {})


def empty_batch(
    rows: int,
    first: Budget,
    others: Sequence[Budget] = (),
    *,
    array: Callable[[tuple[int, ...], int, Any], Any] = np.full,
) -> Batch:
    """The batch that packing begins with: its shapes are those of every batch.

    Args:
      rows: `B`.
      first, others: budgets of a row, of each tokenisation.
      array: makes a leaf of its shape, what it is filled with and its type; another than `np.full` can describe it.
    """

    def aligned(other: Budget) -> Aligned:
        none = Alignment(array((rows, first.S), NONE, np.int32), array((rows, other.S), NONE, np.int32))
        predictions = Predictions.empty((rows, other.S), other.top_k, array) if other.top_k else None
        return Aligned(_no_tokens(rows, other, array), none, predictions)

    return Batch(_no_tokens(rows, first, array), array((rows,), 0, np.int32), tuple(map(aligned, others)))


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
