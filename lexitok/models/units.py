"""Units of a row from the positions at which they end, for splitters that are part of the model."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from lexitok.data.batch import Units
from lexitok.models import unit_reductions
from lexitok.ops.attention import Positions


def units_from_ends(ends_BxS: Bool[Array, "B S"], positions: Positions, room: int) -> tuple[Units, Int[Array, ""]]:
    """The units that `lexitok.data.layout` would make of these ends under the boundary rule `revealed`.

    Args:
      ends_BxS: a unit ends with this position; true at the first position of every piece.
      positions: of the positions; segment 0 is padding.
      room: `W`. Ends for which a row has no room are passed over: their bytes see the newest unit there is.

    Returns:
      The units, and how many ends were passed over.
    """
    live = positions.segments_BxS > 0
    ends = ends_BxS & live
    following = jnp.roll(positions.segments_BxS, -1, axis=1).at[:, -1].set(0)
    cuts = ends | (live & (following != positions.segments_BxS))  # what is open at the end of a piece is a unit as well
    of = jnp.cumsum(cuts, axis=1, dtype=jnp.int32) - cuts.astype(jnp.int32)
    of = jnp.where(live, jnp.minimum(of, room), room)
    segments_BxW, positions_BxW = _unit_positions(of, positions, room)
    kept = ends & (of < room)
    guide = jax.lax.cummax(jnp.where(kept, of, -1), axis=1)
    own = jnp.take_along_axis(segments_BxW, jnp.maximum(guide, 0), axis=1) == positions.segments_BxS
    guide = jnp.where((guide >= 0) & own, guide, -1)
    dropped = jnp.sum(ends, dtype=jnp.int32) - jnp.sum(kept, dtype=jnp.int32)
    return Units(of, guide, segments_BxW, positions_BxW), dropped


def _unit_positions(of_BxS: Array, positions: Positions, room: int) -> tuple[Array, Array]:
    first = unit_reductions.first_positions(of_BxS, room)
    there = jnp.take_along_axis(of_BxS, first, axis=1) == jnp.arange(room, dtype=jnp.int32)[None]
    segments_BxW = jnp.where(there, jnp.take_along_axis(positions.segments_BxS, first, axis=1), 0)
    index = jnp.broadcast_to(jnp.arange(room, dtype=jnp.int32)[None], segments_BxW.shape)
    opens = jnp.diff(segments_BxW, axis=1, prepend=-1) != 0
    opened = jax.lax.cummax(jnp.where(opens, index, 0), axis=1)
    return segments_BxW, jnp.where(there, index - opened, 0)


def moved_since(guide_BxS: Int[Array, "B S"], positions: Positions) -> Int[Array, "B S"]:
    """Positions since the newest unit that a position sees became another: 0 where it does, and at a piece's start."""
    index = jnp.broadcast_to(jnp.arange(guide_BxS.shape[1], dtype=jnp.int32)[None], guide_BxS.shape)
    moved = (jnp.diff(guide_BxS, axis=1, prepend=-2) != 0) | (positions.positions_BxS == 0)
    return index - jax.lax.cummax(jnp.where(moved, index, 0), axis=1)
