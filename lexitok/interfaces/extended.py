"""An interface with symbols behind its own, whose rows are made elsewhere: tokens that the texts at hand have often."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from lexitok.interfaces import Interface
from lexitok.interfaces.bound import Bound
from lexitok.made import made
from lexitok.ops.read_out import Query, Reductions, blocked
from lexitok.ops.read_out.behind import Part, asked_of, behind
from lexitok.ops.read_out.reference import logits
from lexitok.sharding import whole

REACHES = ("enter", "enter_and_leave")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ExtraRows:
    """Room for `M` symbols more, of which the first `count` are used: `Batch.vocabulary`, or what an interface holds.

    Attributes:
      entering_MxD: their vectors, as they enter.
      leaving_MxD: hidden vectors are multiplied with them; of no use where the symbols only enter.
      count: int32 scalar.
    """

    entering_MxD: Float[Array, "M D"] | Any
    leaving_MxD: Float[Array, "M D"] | Any
    count: Int[Array, ""] | Any


class Extended(nnx.Module):
    """An interface of `V` symbols with more behind them, ids `V` and on, for all rows of a batch.

    By `enter` they are only read: predictions are of the interface's own symbols. By `enter_and_leave` they are
    predicted too, by one softmax over all that are used. The rows come with a batch (`ExtraRows`), or are the ones that
    it holds; where there are none, it is the interface itself.

    Args:
      interface: the one that is extended.
      reach: one of `REACHES`.
      rows: that it holds, for batches without; numpy arrays.

    Raises:
      ValueError: an unknown reach.
    """

    def __init__(self, interface: Interface, reach: str, rows: ExtraRows | None = None):
        if reach not in REACHES:
            raise ValueError(f"unknown reach '{reach}' of extra symbols; there are {', '.join(REACHES)}")
        self.interface, self.reach = interface, reach
        self.made_entering = None if rows is None else made(np.asarray(rows.entering_MxD))
        self.made_leaving = None if rows is None else made(np.asarray(rows.leaving_MxD))
        self.made_count = None if rows is None else made(np.asarray(rows.count, np.int32))

    @property
    def rows(self) -> ExtraRows | None:
        """The rows that it holds."""
        if self.made_entering is None or self.made_leaving is None or self.made_count is None:
            return None
        return ExtraRows(self.made_entering[...], self.made_leaving[...], self.made_count[...])

    @property
    def vocabulary_size(self) -> int:
        """Symbols of the softmax."""
        own, rows = self.interface.vocabulary_size, self.rows
        return own if rows is None or self.reach == "enter" else own + len(rows.leaving_MxD)

    def bind(self, seeds_B: Int[Array, "B"], vocabulary: Any = None) -> Bound:
        """The interface for the rows of a batch.

        Raises:
          TypeError: the batch's vocabulary is no `ExtraRows`; symbols are to leave, and the interface has no `softcap`.
        """
        inner = self.interface.bind(seeds_B)
        rows = self.rows if vocabulary is None else vocabulary
        if rows is None:
            return inner
        if not isinstance(rows, ExtraRows):
            raise TypeError(f"an extended interface reads ExtraRows, and the batch has a {type(rows).__name__}")
        rows = jax.tree.map(whole, rows)
        if self.reach == "enter":
            return EnteringBound(inner, self.interface.vocabulary_size, rows)
        softcap = getattr(inner, "softcap", None)
        if softcap is None:
            raise TypeError(f"a {type(inner).__name__} does not say how its logits are capped: use reach 'enter'")
        return ExtendedBound(inner, self.interface.vocabulary_size, rows, softcap)


@dataclasses.dataclass(frozen=True)
class EnteringBound:
    """Symbols from `V` on enter by rows of their own; what leaves is the other interface's.

    Attributes:
      inner: of the first `V` symbols.
      V: their number.
      rows: of the others.
    """

    inner: Bound
    V: int
    rows: ExtraRows

    def embed(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The vectors of the symbols; of those that are not used, NaN."""
        extra = symbols_BxS - self.V
        own = self.inner.embed(jnp.where(extra < 0, symbols_BxS, 0), dtype)
        at = jnp.where((extra >= 0) & (extra < self.rows.count), extra, len(self.rows.entering_MxD))
        found = self.rows.entering_MxD.at[at].get(mode="fill", fill_value=jnp.nan)
        return jnp.where((extra < 0)[..., None], own, found.astype(dtype))

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        return self.inner.logits(h_BxSxD)

    def read_out(self, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        return self.inner.read_out(h_BxSxD, query)


@dataclasses.dataclass(frozen=True)
class ExtendedBound(EnteringBound):
    """As `EnteringBound`, and the others leave by rows of their own too; none that is not used has any probability.

    Attributes:
      softcap: of the logits; 0: none.
    """

    softcap: float

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S VM"]:
        """Float32 logits of all `V + M` symbols, minus infinity of those that are not used."""
        extra = logits(h_BxSxD, self.rows.leaving_MxD, self.softcap)
        used = jnp.arange(extra.shape[-1], dtype=jnp.int32) < self.rows.count
        return jnp.concatenate([self.inner.logits(h_BxSxD), jnp.where(used[None, None], extra, -jnp.inf)], axis=-1)

    def read_out(self, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        """What is asked of the logits; of the other symbols a block is held at once (`blocked.block_size`)."""
        (B, S, D), M = h_BxSxD.shape, len(self.rows.leaving_MxD)

        def vectors(ids_C: Array) -> Array:
            return jnp.broadcast_to(self.rows.leaving_MxD[ids_C][None], (B, len(ids_C), D))

        first = self.inner.read_out(h_BxSxD, asked_of(Part(0, self.V), query))
        asked, block = asked_of(Part(self.V, None), query), blocked.block_size(S, D, M)
        how = {"block": block, "softcap": self.softcap, "used": self.rows.count}
        return behind(first, blocked.read_out(h_BxSxD, vectors, M, asked, **how), query, self.V)


def extended(model: Any, reach: str, rows: ExtraRows | None = None) -> Any:
    """The model with its interface extended (`Extended`); its arrays are shared with the given one."""
    out = jax.tree.map(lambda leaf: leaf, model)
    out.interface = Extended(model.interface, reach, rows)
    return out
