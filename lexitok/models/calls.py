"""What the device is told of new positions: by the host, which knows the rules, or by a router."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lexitok.nn.cache import NOWHERE
from lexitok.ops.attention import Positions

IDLE = -1  # position, or index of a unit, where there is none


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ReadCall:
    """New positions, `T` a row; a row's come first, then those that are `IDLE`.

    Attributes:
      symbols_BxT: what is read.
      positions_BxT: where in the row.
      units_BxT: the unit that the position is part of, where a stack sees only its own.
      slots_BxT: which of its unit's slots the position is; -1: none.
      seen_BxT: how many of the units that are closed now the position sees.
    """

    symbols_BxT: Int[Array, "B T"] | Any
    positions_BxT: Int[Array, "B T"] | Any
    units_BxT: Int[Array, "B T"] | Any
    slots_BxT: Int[Array, "B T"] | Any
    seen_BxT: Int[Array, "B T"] | Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CompletedUnits:
    """Units that are complete, `C` a row; a row's come first, in their order.

    Attributes:
      index_BxC: number of the unit in its row; `IDLE` where there is none.
      start_BxC, end_BxC: its positions, `end` exclusive.
      chance_BxC: the router's probability that it ends there, 0 where there is none; None: units come by rule.
    """

    index_BxC: Int[Array, "B C"] | Any
    start_BxC: Int[Array, "B C"] | Any
    end_BxC: Int[Array, "B C"] | Any
    chance_BxC: Float[Array, "B C"] | Any = None


def completed_at(
    ends_BxT: Bool[Array, "B T"],
    chance_BxT: Float[Array, "B T"] | None,
    positions_BxT: Int[Array, "B T"],
    closed_B: Int[Array, "B"],
    open_B: Int[Array, "B"],
) -> tuple[CompletedUnits, Int[Array, "B T"]]:
    """The units that end with new positions, and how many of them each position sees.

    Args:
      ends_BxT, chance_BxT: what the router says.
      positions_BxT: the new positions.
      closed_B: units of the row so far.
      open_B: position with which the unit that is open starts.
    """
    B, T = ends_BxT.shape
    ends = ends_BxT & (positions_BxT >= 0)
    seen_BxT = jnp.cumsum(ends, axis=1, dtype=jnp.int32)
    slot = jnp.where(ends, seen_BxT - 1, T)
    rows = jnp.arange(B, dtype=jnp.int32)[:, None]

    def gathered(x: Array) -> Array:
        return jnp.zeros((B, T), x.dtype).at[rows, slot].set(x, mode="drop")

    end_BxC = gathered(positions_BxT + 1)
    number = jnp.arange(T, dtype=jnp.int32)[None]
    index_BxC = jnp.where(number < seen_BxT[:, -1:], closed_B[:, None] + number, IDLE)
    start_BxC = jnp.concatenate([open_B[:, None], end_BxC[:, :-1]], axis=1)
    chance = None if chance_BxT is None else gathered(chance_BxT)
    return CompletedUnits(index_BxC, start_BxC, end_BxC, chance), seen_BxT


def read_positions(positions_BxT: Int[Array, "B T"], segments_BxT: Int[Array, "B T"] | None = None) -> Positions:
    """Positions of positions; all of a row in one segment unless said otherwise."""
    segments = jnp.zeros_like(positions_BxT) if segments_BxT is None else segments_BxT
    return Positions(jnp.where(positions_BxT < 0, NOWHERE, segments), jnp.maximum(positions_BxT, 0))
