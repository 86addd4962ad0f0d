"""What a stack keeps of the positions read so far: keys and values, or the states of recurrent layers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Int
from ml_collections import ConfigDict

from lexitok.ops.attention import Positions

EMPTY = -1  # segment of a entry that holds nothing
NOWHERE = -2  # segment of a position that stands for nothing: no cache holds it, and none keeps it


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KVCache:
    """A fixed number of entries a row, used round and round.

    Attributes:
      cached: keys and values, each `[L, B, entries, K, N]`.
      positions: segment and position of each entry; segment `EMPTY` where nothing is cached.
      entries_BxT: where the positions that are being read go.
    """

    cached: Any  # (Float[Array, "L B S K N"], Float[Array, "L B S K N"])
    positions: Positions
    entries_BxT: Int[Array, "B T"] | None = None

    @staticmethod
    def empty(c: ConfigDict, rows: int, entries: int, dtype: DTypeLike) -> "KVCache":
        """A cache that holds nothing, for a stack of the given shape."""
        shape = (c.L, rows, entries, c.K, c.N)
        positions = Positions(jnp.full((rows, entries), EMPTY, jnp.int32), jnp.zeros((rows, entries), jnp.int32))
        return KVCache((jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)), positions)

    def at(self, positions: Positions) -> "KVCache":
        """The cache with `T` new positions, but not yet their keys and values; those that are `NOWHERE` are not kept.

        The new positions of a row follow each other, and are no more than there are entries.
        """
        entries = self.positions.segments_BxS.shape[1]
        entries_BxT = jnp.where(positions.segments_BxS == NOWHERE, entries, positions.positions_BxS % entries)
        written = Positions(
            _write(self.positions.segments_BxS, entries_BxT, positions.segments_BxS),
            _write(self.positions.positions_BxS, entries_BxT, positions.positions_BxS),
        )
        return KVCache(self.cached, written, entries_BxT)

    def write(self, cached: Any, layer: Array, new: tuple[Array, Array]) -> Any:
        """Every layer's keys and values, with the new ones `[B, T, K, N]` of layer number `layer` written into them.

        The whole is handed from layer to layer, so that it is updated in place; taken apart by layer, it is copied.
        """
        assert self.entries_BxT is not None
        rows = jnp.arange(len(self.entries_BxT), dtype=self.entries_BxT.dtype)[:, None]

        def put(cached: Array, new: Array) -> Array:
            return cached.at[layer, rows, self.entries_BxT].set(new.astype(cached.dtype), mode="drop")

        return put(cached[0], new[0]), put(cached[1], new[1])

    def filled(self, cached: Any) -> "KVCache":
        """The cache with every layer's keys and values replaced."""
        return KVCache(cached, self.positions)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StateCache:
    """The states of recurrent layers.

    Attributes:
      cached: a tree of arrays `[L, B, ...]`.
      live_BxT: which of the positions that are being read stand for something.
    """

    cached: Any
    live_BxT: Bool[Array, "B T"] | None = None

    def at(self, positions: Positions) -> "StateCache":
        """The cache with `T` new positions that it has not read yet."""
        return StateCache(self.cached, positions.segments_BxS != NOWHERE)

    def filled(self, cached: Any) -> "StateCache":
        """The cache with every layer's states replaced."""
        return StateCache(cached)


Cache = KVCache | StateCache


def _write(cached: Array, entries_BxT: Array, new: Array) -> Array:
    rows = jnp.arange(cached.shape[0], dtype=entries_BxT.dtype)[:, None]
    return cached.at[rows, entries_BxT].set(new.astype(cached.dtype), mode="drop")
