"""What a router says."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lexitok.nn.cache import NOWHERE
from lexitok.ops.attention import Positions


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Boundaries:
    """Where units end.

    Attributes:
      ends_BxS: a unit ends with this position.
      chance_BxS: the probability that the router gave to that, float32; None: it has no doubts.
    """

    ends_BxS: Bool[Array, "B S"] | Any
    chance_BxS: Float[Array, "B S"] | Any = None

    @property
    def confidence_BxS(self) -> Float[Array, "B S"] | None:
        """The probability of what was decided."""
        if self.chance_BxS is None:
            return None
        return jnp.where(self.ends_BxS, self.chance_BxS, 1.0 - self.chance_BxS)


def before(x_BxSxN: Float[Array, "B S N"], first_Bx1xN: Float[Array, "B 1 N"] | None = None) -> Float[Array, "B S N"]:
    """What stands one position before; before the first, zeros or what is given."""
    if first_Bx1xN is None:
        first_Bx1xN = jnp.zeros_like(x_BxSxN[:, :1])
    return jnp.concatenate([first_Bx1xN, x_BxSxN[:, :-1]], axis=1)


def last_live(x_BxTxN: Array, positions: Positions, previous_Bx1xN: Array) -> Array:
    """The last of each row's new positions that stands for something, `[B, 1, N]`; what was before where none does."""
    count = (positions.segments_BxS != NOWHERE).sum(axis=1, dtype=jnp.int32)
    last = jnp.take_along_axis(x_BxTxN, jnp.maximum(count - 1, 0)[:, None, None], axis=1)
    return jnp.where((count > 0)[:, None, None], last, previous_Bx1xN)
