"""Where queries and keys stand, which is all that a mask is made of."""

import dataclasses

import jax
from jaxtyping import Array, Int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Positions:
    """Segment and position of every row's entries. Entries see each other only within a segment.

    Attributes:
      segments_BxS: any integers; equal means that entries may see each other.
      positions_BxS: order within a segment; also the angle of rotary embeddings.
    """

    segments_BxS: Int[Array, "B S"]
    positions_BxS: Int[Array, "B S"]
