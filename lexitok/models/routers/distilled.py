"""Bolmo's boundary predictor: learns where a tokenizer's tokens end, with a look at the next byte (arXiv 2512.15586).

The units themselves come with the text, and the symbols that the model writes say where they end. What is learned here
is to find the units of a text without the tokenizer, as for a prompt.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Units
from lexitok.models.routers.cosine import _unit
from lexitok.nn.parameters import parameter
from lexitok.ops.attention import Positions

_SURE = 1e-3  # probabilities keep this distance from 0 and 1


class DistilledRouter(nnx.Module):
    """`p = (1 - cos(queries(h), keys(h after))) / 2`, in float32; `c` has `weight`, of the loss."""

    def __init__(self, c: ConfigDict, D: int, *, rngs: nnx.Rngs):
        del rngs
        self.c = c
        self.queries = parameter("D D", jnp.eye(D, dtype=jnp.float32))
        self.keys = parameter("D D", jnp.eye(D, dtype=jnp.float32))

    def chances(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S"]:
        """The probability that a unit ends with a position; of a row's last, which sees no next, nothing is known."""
        h = h_BxSxD.astype(jnp.float32)
        after = jnp.concatenate([h[:, 1:], jnp.zeros_like(h[:, :1])], axis=1)
        with jax.default_matmul_precision("highest"):
            queries, keys = h @ self.queries[...], after @ self.keys[...]
        cosine = jnp.sum(_unit(queries) * _unit(keys), axis=-1)
        return jnp.clip((1.0 - cosine) / 2.0, _SURE, 1.0 - _SURE)

    def loss(
        self, h_BxSxD: Float[Array, "B S D"], units: Units, positions: Positions
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """Cross-entropy to the ends that the text came with, the mean over positions that are not the last of a piece.

        Returns:
          The loss times its weight; and sums: `router_right` and `router_seen`, of positions.
        """
        chance, ends, seen = self.chances(h_BxSxD), ends_of(units), _has_next(positions)
        nats = -jnp.where(ends, jnp.log(chance), jnp.log1p(-chance))
        count = jnp.sum(seen, dtype=jnp.float32)
        mean = jnp.sum(jnp.where(seen, nats, 0.0)) / jnp.maximum(count, 1.0)
        right = jnp.sum(seen & ((chance > 0.5) == ends), dtype=jnp.float32)
        return self.c.weight * mean, {"router_right": right, "router_seen": count}


def ends_of(units: Units) -> Bool[Array, "B S"]:
    """The positions with which units end, where the boundary rule lets a position see the unit that ends there."""
    return units.guide_BxS == units.of_BxS


def _has_next(positions: Positions) -> Bool[Array, "B S"]:
    following = jnp.roll(positions.segments_BxS, -1, axis=1).at[:, -1].set(0)
    return (positions.segments_BxS > 0) & (following == positions.segments_BxS) & (positions.positions_BxS > 0)
