"""What a model is asked, and what it has to say beside the answer."""

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.ops.read_out import Query


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


def of_batch(query: Query | None, batch: Batch) -> Query:
    """A query, with the batch's targets where it has none of its own; None: just these."""
    query = Query() if query is None else query
    return query if query.targets_BxS is not None else dataclasses.replace(query, targets_BxS=batch.tokens.targets_BxS)
