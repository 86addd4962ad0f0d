"""Where new positions stand, and which slots of a cache they take. Positions below 0 stand for nothing."""

import jax.numpy as jnp
from jaxtyping import Array, Int
from ml_collections import ConfigDict

from lexitok.nn.cache import KVCache
from lexitok.ops.attention import Places

NOWHERE = -2  # a segment that no cache holds


def ring_size(c: ConfigDict, slots: int, new: int, longest: int | None = None) -> int:
    """Slots that a stack's cache needs: with local layers alone, only what their window can reach.

    Args:
      c: the stack.
      slots: positions of the longest row.
      new: positions that are read at once. They are written before any of them looks back.
      longest: positions of the longest unit, where a stack sees only its own unit; else None.
    """
    reach = slots if longest is None else longest
    if set(c.layer_kinds) == {"local"}:
        reach = min(reach, c.window)
    return min(slots, reach + new - 1)


def ring_slots(positions_BxT: Int[Array, "B T"], cache: KVCache) -> Int[Array, "B T"]:
    """The slots of positions in a cache that is used round and round; one too many where nothing is to be kept."""
    slots = cache.places.segments_BxS.shape[1]
    return jnp.where(positions_BxT < 0, slots, positions_BxT % slots)


def places(positions_BxT: Int[Array, "B T"], segments_BxT: Int[Array, "B T"] | None = None) -> Places:
    """Places of positions; all of a row in one segment unless said otherwise."""
    segments = jnp.zeros_like(positions_BxT) if segments_BxT is None else segments_BxT
    return Places(jnp.where(positions_BxT < 0, NOWHERE, segments), jnp.maximum(positions_BxT, 0))
