"""What a model has made of a batch before its logits: several questions are asked of one forward pass."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.interfaces import Bound
from lexitok.models.extras import Extras, of_batch
from lexitok.ops.read_out import Query, Reductions


@dataclasses.dataclass(frozen=True)
class ReadBatch:
    """A batch that was read.

    Attributes:
      batch: what was read.
      bound: the model's interface, bound to it.
      hidden_BxSxD: what the read-out takes, at each position.
      extras: further losses and counts.
    """

    batch: Batch
    bound: Bound
    hidden_BxSxD: Float[Array, "B S D"]
    extras: Extras

    def read_out(self, query: Query | None = None) -> Reductions:
        """What is asked of the logits, by default the nats of the batch's targets."""
        return self.bound.read_out(self.hidden_BxSxD, of_batch(query, self.batch))


def hidden_width(model: Any) -> int:
    """The width of what a model's read-out takes, which is that of the vectors of its symbols."""

    def vectors(model: Any) -> Any:
        return model.interface.bind(jnp.zeros(1, jnp.int32)).embed(jnp.zeros((1, 1), jnp.int32), jnp.float32)

    return jax.eval_shape(vectors, model).shape[-1]
