"""What a model has to say beside its scores."""

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Extras:
    """Further losses and counts of a batch.

    Attributes:
      loss: scalar, to be added to the mean of the nats over targets.
      sums: scalars that add up over batches.
    """

    loss: Float[Array, ""] | Any
    sums: dict[str, Float[Array, ""]] | Any
