"""Rows without a network: a token's row is a weighted sum of those of its parts.

The same as `lexitok.transfer.methods.composition`, on the device; of a token that is spelled in more parts than are
kept, the parts that are.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lexitok.text.matching import NONE

# Of a part's place from the left, how many parts there are, and how many bytes the part has: its weight before they are
# brought to a sum of 1.
HEURISTICS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "mean": lambda place, count, length: place == place,
    "first": lambda place, count, length: place == 0,
    "last": lambda place, count, length: place == count - 1,
    "front_loaded": lambda place, count, length: jnp.power(0.5, place.astype(jnp.float32)),
    "by_length": lambda place, count, length: length,
}


def part_weights(parts_VxP: Int[Array, "V P"], lengths_U: Int[Array, "U"], heuristic: str) -> Float[Array, "V P"]:
    """The weight of each part in its token's row, float32; all are 0 for a token without parts.

    Args:
      parts_VxP: ids of the source, from the left, `NONE` behind the last.
      lengths_U: bytes of the source's tokens. A part without bytes, which is a special, is all of its token.
      heuristic: one of `HEURISTICS`.
    """
    there = parts_VxP != NONE
    place_VxP = jnp.broadcast_to(jnp.arange(parts_VxP.shape[1], dtype=jnp.int32)[None], parts_VxP.shape)
    count_Vx1 = jnp.sum(there, axis=1, keepdims=True, dtype=jnp.int32)
    length_VxP = jnp.maximum(lengths_U[jnp.maximum(parts_VxP, 0)], 1)
    weights = HEURISTICS[heuristic](place_VxP, count_Vx1, length_VxP).astype(jnp.float32)
    weights = jnp.where(there, weights, 0.0)
    total = jnp.sum(weights, axis=1, keepdims=True)
    return weights / jnp.where(total > 0.0, total, 1.0)


def combined(weights_VxP: Float[Array, "V P"], rows_VxPxD: Float[Array, "V P D"]) -> Float[Array, "V D"]:
    """The weighted sums, in float32: as a matrix product, accelerators would round both sides to fewer bits."""
    return jnp.sum(weights_VxP[..., None] * rows_VxPxD, axis=1)
