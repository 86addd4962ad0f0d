"""H-Net's router: a unit ends where the encoder's vector turns away from the one before (arXiv 2507.07955, 2.2)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.models.routers.boundaries import Boundaries, before, last_live
from lexitok.nn.parameters import parameter
from lexitok.ops.attention import Positions

_TINY = 1e-12  # length under which a vector has no direction


class CosineRouter(nnx.Module):
    """`p = (1 - cos(queries(h before), keys(h))) / 2`, and a unit ends where `p > 1/2`; in float32.

    Both maps start as the identity. `c` has `target`, the positions a unit is to have, and `weight`, of the ratio loss.
    """

    def __init__(self, c: ConfigDict, D: int, *, rngs: nnx.Rngs):
        del rngs
        if c.target <= 1:
            raise ValueError(f"the router's target is {c.target} positions a unit; it must be above 1")
        self.c = c
        self.queries = parameter("D D", jnp.eye(D, dtype=jnp.float32))
        self.keys = parameter("D D", jnp.eye(D, dtype=jnp.float32))

    def __call__(self, h_BxSxD: Float[Array, "B S D"], symbols_BxS: Any, positions: Positions) -> Boundaries:
        """Where units end in packed rows."""
        del symbols_BxS
        h = h_BxSxD.astype(jnp.float32)
        return self._decide(before(h), h, positions)

    def _decide(self, before_BxSxD: Array, h_BxSxD: Array, positions: Positions) -> Boundaries:
        with jax.default_matmul_precision("highest"):  # accelerators would round both sides to fewer bits
            queries, keys = before_BxSxD @ self.queries[...], h_BxSxD @ self.keys[...]
        cosine = jnp.sum(_unit(queries) * _unit(keys), axis=-1)
        chance = jnp.clip((1.0 - cosine) / 2.0, 0.0, 1.0)
        chance = jnp.where(positions.positions_BxS == 0, 1.0, chance)
        return Boundaries(chance > 0.5, chance)

    def empty(self, rows: int, positions: int, new: int, dtype: DTypeLike) -> Array:
        """The state of rows that have read nothing: the last vector."""
        del positions, new, dtype
        return jnp.zeros((rows, 1, self.keys.shape[0]), jnp.float32)

    def extend(
        self, state: Array, h_BxTxD: Float[Array, "B T D"], symbols_BxT: Any, positions: Positions
    ) -> tuple[Array, Boundaries]:
        """As a call, on new positions behind those that were read."""
        del symbols_BxT
        h = h_BxTxD.astype(jnp.float32)
        return last_live(h, positions, state), self._decide(before(h, state), h, positions)

    def loss(self, boundaries: Boundaries, positions: Positions) -> Float[Array, ""]:
        """The ratio loss over all rows of the batch, on all devices."""
        live = (positions.segments_BxS > 0).astype(jnp.float32)
        total = jnp.maximum(jnp.sum(live), 1.0)
        fraction = jnp.sum(live * boundaries.ends_BxS.astype(jnp.float32)) / total
        chance = jnp.sum(live * boundaries.chance_BxS) / total
        return self.c.weight * ratio_loss(fraction, chance, self.c.target)


def ratio_loss(fraction: Float[Array, ""], chance: Float[Array, ""], target: float) -> Float[Array, ""]:
    """Least, 1, where a unit ends at one position of `target` (H-Net, equation 10).

    Args:
      fraction: of positions at which units end; has no gradient.
      chance: mean of the probabilities.
      target: `N`, positions a unit.
    """
    both = (target - 1.0) * fraction * chance + (1.0 - fraction) * (1.0 - chance)
    return target / (target - 1.0) * both


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True) + _TINY**2), _TINY)
