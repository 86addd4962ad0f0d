"""A unit every so many positions, counted from the start of the piece."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.models.routers.boundaries import Boundaries
from lexitok.ops.attention import Positions


class StrideRouter(nnx.Module):
    """Units end with the positions `0, n, 2n, ...`; `n` is `c.stride`."""

    def __init__(self, c: ConfigDict, D: int, *, rngs: nnx.Rngs):
        del D, rngs
        if c.stride < 1:
            raise ValueError(f"the router's stride is {c.stride}; it must be at least 1 position")
        self.c = c

    def __call__(self, h_BxSxD: Float[Array, "B S D"], symbols_BxS: Any, positions: Positions) -> Boundaries:
        """Where units end in packed rows."""
        del h_BxSxD, symbols_BxS
        return Boundaries(positions.positions_BxS % self.c.stride == 0)

    def empty(self, rows: int, positions: int, new: int, dtype: DTypeLike) -> None:
        """There is nothing to remember."""
        del rows, positions, new, dtype

    def extend(
        self, state: None, h_BxTxD: Float[Array, "B T D"], symbols_BxT: Any, positions: Positions
    ) -> tuple[None, Boundaries]:
        """As a call."""
        return state, self(h_BxTxD, symbols_BxT, positions)

    def loss(self, boundaries: Boundaries, positions: Positions) -> Float[Array, ""]:
        """Nothing is learned."""
        del boundaries, positions
        return jnp.zeros((), jnp.float32)
