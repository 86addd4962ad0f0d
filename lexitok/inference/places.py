"""Where new positions stand. Positions below 0 stand for nothing."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from lexitok.nn.cache import NOWHERE
from lexitok.ops.attention import Places


def places(positions_BxT: Int[Array, "B T"], segments_BxT: Int[Array, "B T"] | None = None) -> Places:
    """Places of positions; all of a row in one segment unless said otherwise."""
    segments = jnp.zeros_like(positions_BxT) if segments_BxT is None else segments_BxT
    return Places(jnp.where(positions_BxT < 0, NOWHERE, segments), jnp.maximum(positions_BxT, 0))
