"""Sums and softmaxes over the units of a row, in time and memory linear in the row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def unit_sum(x_BxSxN: Float[Array, "B S *N"], of_BxS: Int[Array, "B S"], units: int) -> Float[Array, "B W *N"]:
    """Sums over each unit's positions; positions whose index is `units` belong to none."""
    return jax.vmap(lambda x, of: jax.ops.segment_sum(x, of, units + 1, indices_are_sorted=True))(x_BxSxN, of_BxS)[
        :, :units
    ]


def unit_softmax(scores_BxSxH: Float[Array, "B S *H"], of_BxS: Int[Array, "B S"], units: int) -> Array:
    """Softmax over the positions of each unit, `[B, S, *H]`, float32; zero at positions of no unit."""
    scores = scores_BxSxH.astype(jnp.float32)
    top = jax.vmap(lambda s, of: jax.ops.segment_max(s, of, units + 1, indices_are_sorted=True))(scores, of_BxS)
    top = jax.lax.stop_gradient(top)
    weights = jnp.exp(scores - take_units(top, of_BxS))
    weights = jnp.where(jnp.expand_dims(of_BxS < units, range(2, weights.ndim)), weights, 0.0)
    total = unit_sum(weights, of_BxS, units + 1)
    return weights / jnp.maximum(take_units(total, of_BxS), 1e-30)


def take_units(x_BxWxN: Float[Array, "B W *N"], of_BxS: Int[Array, "B S"]) -> Float[Array, "B S *N"]:
    """What belongs to each position's unit."""
    return jnp.take_along_axis(x_BxWxN, jnp.expand_dims(of_BxS, range(2, x_BxWxN.ndim)), axis=1, mode="clip")


def first_positions(of_BxS: Int[Array, "B S"], units: int) -> Int[Array, "B W"]:
    """Index in the row of each unit's first position; the row's last index for units that do not exist."""
    S = of_BxS.shape[1]
    index = jnp.broadcast_to(jnp.arange(S, dtype=jnp.int32)[None], of_BxS.shape)
    first = jax.vmap(lambda i, of: jax.ops.segment_min(i, of, units + 1, indices_are_sorted=True))(index, of_BxS)
    return jnp.minimum(first[:, :units], S - 1)


def opens_unit(of_BxS: Int[Array, "B S"]) -> Array:
    """Bool `[B, S]`: the position is the first of its unit."""
    return jnp.diff(of_BxS, axis=1, prepend=-1) != 0


def last_positions(of_BxS: Int[Array, "B S"], units: int) -> Int[Array, "B W"]:
    """Index in the row of each unit's last position; 0 for units that do not exist."""
    index = jnp.broadcast_to(jnp.arange(of_BxS.shape[1], dtype=jnp.int32)[None], of_BxS.shape)
    last = jax.vmap(lambda i, of: jax.ops.segment_max(i, of, units + 1, indices_are_sorted=True))(index, of_BxS)
    return jnp.maximum(last[:, :units], 0)


def unit_max(x_BxSxN: Float[Array, "B S N"], of_BxS: Int[Array, "B S"], units: int) -> Float[Array, "B W N"]:
    """Maxima over each unit's positions; 0 for units that do not exist."""
    top = jax.vmap(lambda x, of: jax.ops.segment_max(x, of, units + 1, indices_are_sorted=True))(x_BxSxN, of_BxS)
    return jnp.where(jnp.isfinite(top), top, 0)[:, :units]
