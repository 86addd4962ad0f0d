"""Keys and values of the positions read so far, for every layer of a stack."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.ops.attention import Places

EMPTY = -1  # segment of a slot that holds nothing


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KVCache:
    """A fixed number of slots a row; which slot a position takes is the caller's to say.

    Attributes:
      kv: keys and values, each `[L, B, slots, K, N]`.
      places: segment and position of each slot; segment `EMPTY` where nothing is held.
      slots_BxT: where the positions that are being read go.
    """

    kv: tuple[Float[Array, "L B S K N"], Float[Array, "L B S K N"]]
    places: Places
    slots_BxT: Int[Array, "B T"] | None = None

    @staticmethod
    def empty(c: ConfigDict, rows: int, slots: int, dtype: DTypeLike) -> "KVCache":
        """A cache that holds nothing, for a stack of the given shape."""
        shape = (c.L, rows, slots, c.K, c.N)
        places = Places(jnp.full((rows, slots), EMPTY, jnp.int32), jnp.zeros((rows, slots), jnp.int32))
        return KVCache((jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)), places)

    def at(self, slots_BxT: Int[Array, "B T"], places: Places) -> "KVCache":
        """The cache with `T` new positions at `slots`, but not yet their keys and values."""
        written = Places(
            _write(self.places.segments_BxS, slots_BxT, places.segments_BxS),
            _write(self.places.positions_BxS, slots_BxT, places.positions_BxS),
        )
        return KVCache(self.kv, written, slots_BxT)

    def write(self, kv: tuple[Array, Array], layer: Array, new: tuple[Array, Array]) -> tuple[Array, Array]:
        """Every layer's keys and values, with the new ones `[B, T, K, N]` of layer number `layer` written into them.

        The whole is handed from layer to layer, so that it is updated in place; taken apart by layer, it is copied.
        """
        assert self.slots_BxT is not None
        rows = jnp.arange(len(self.slots_BxT), dtype=self.slots_BxT.dtype)[:, None]

        def put(held: Array, new: Array) -> Array:
            return held.at[layer, rows, self.slots_BxT].set(new.astype(held.dtype), mode="drop")

        return put(kv[0], new[0]), put(kv[1], new[1])

    def filled(self, kv: tuple[Array, Array]) -> "KVCache":
        """The cache with every layer's keys and values replaced."""
        return KVCache(kv, self.places)


def _write(held: Array, slots_BxT: Array, new: Array) -> Array:
    rows = jnp.arange(held.shape[0], dtype=slots_BxT.dtype)[:, None]
    return held.at[rows, slots_BxT].set(new.astype(held.dtype), mode="drop")
