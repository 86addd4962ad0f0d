"""What a stack keeps of the positions read so far: keys and values, or the states of recurrent layers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Int
from ml_collections import ConfigDict

from lexitok.ops.attention import Places

EMPTY = -1  # segment of a slot that holds nothing
NOWHERE = -2  # segment of a position that stands for nothing: no cache holds it, and none keeps it


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KVCache:
    """A fixed number of slots a row, used round and round.

    Attributes:
      held: keys and values, each `[L, B, slots, K, N]`.
      places: segment and position of each slot; segment `EMPTY` where nothing is held.
      slots_BxT: where the positions that are being read go.
    """

    held: Any  # (Float[Array, "L B S K N"], Float[Array, "L B S K N"])
    places: Places
    slots_BxT: Int[Array, "B T"] | None = None

    @staticmethod
    def empty(c: ConfigDict, rows: int, slots: int, dtype: DTypeLike) -> "KVCache":
        """A cache that holds nothing, for a stack of the given shape."""
        shape = (c.L, rows, slots, c.K, c.N)
        places = Places(jnp.full((rows, slots), EMPTY, jnp.int32), jnp.zeros((rows, slots), jnp.int32))
        return KVCache((jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)), places)

    def at(self, places: Places) -> "KVCache":
        """The cache with `T` new positions, but not yet their keys and values; those that are `NOWHERE` are not kept.

        The new positions of a row follow each other, and are no more than there are slots.
        """
        slots = self.places.segments_BxS.shape[1]
        slots_BxT = jnp.where(places.segments_BxS == NOWHERE, slots, places.positions_BxS % slots)
        written = Places(
            _write(self.places.segments_BxS, slots_BxT, places.segments_BxS),
            _write(self.places.positions_BxS, slots_BxT, places.positions_BxS),
        )
        return KVCache(self.held, written, slots_BxT)

    def write(self, held: Any, layer: Array, new: tuple[Array, Array]) -> Any:
        """Every layer's keys and values, with the new ones `[B, T, K, N]` of layer number `layer` written into them.

        The whole is handed from layer to layer, so that it is updated in place; taken apart by layer, it is copied.
        """
        assert self.slots_BxT is not None
        rows = jnp.arange(len(self.slots_BxT), dtype=self.slots_BxT.dtype)[:, None]

        def put(held: Array, new: Array) -> Array:
            return held.at[layer, rows, self.slots_BxT].set(new.astype(held.dtype), mode="drop")

        return put(held[0], new[0]), put(held[1], new[1])

    def filled(self, held: Any) -> "KVCache":
        """The cache with every layer's keys and values replaced."""
        return KVCache(held, self.places)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StateCache:
    """The states of recurrent layers.

    Attributes:
      held: a tree of arrays `[L, B, ...]`.
      live_BxT: which of the positions that are being read stand for something.
    """

    held: Any
    live_BxT: Bool[Array, "B T"] | None = None

    def at(self, places: Places) -> "StateCache":
        """The cache with `T` new positions that it has not read yet."""
        return StateCache(self.held, places.segments_BxS != NOWHERE)

    def filled(self, held: Any) -> "StateCache":
        """The cache with every layer's states replaced."""
        return StateCache(held)


Cache = KVCache | StateCache


def _write(held: Array, slots_BxT: Array, new: Array) -> Array:
    rows = jnp.arange(held.shape[0], dtype=slots_BxT.dtype)[:, None]
    return held.at[rows, slots_BxT].set(new.astype(held.dtype), mode="drop")
