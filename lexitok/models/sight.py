"""What an unpool is told of the positions that it fills."""

import dataclasses

import jax
from jaxtyping import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sight:
    """How the positions of rows stand to units, over whole rows as in cached decoding.

    Attributes:
      guide_BxS: index into the guides, of the newest unit that the position sees.
      slot_BxS: which of its unit's slots the position is; -1: none.
      since_BxS: positions since `guide` became another; 0 where it does.
      confidence_BxS: how sure the router was of its decision here, in [0.5, 1]; None: units come by rule.
    """

    guide_BxS: Int[Array, "B S"]
    slot_BxS: Int[Array, "B S"]
    since_BxS: Int[Array, "B S"]
    confidence_BxS: Float[Array, "B S"] | None = None
