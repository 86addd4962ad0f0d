"""Hidden states after the same bytes."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair
from lexitok.nn.parameters import normal


class Projection(nnx.Module):
    """A student's states as the teacher's."""

    def __init__(self, D: int, E: int, *, rngs: nnx.Rngs):
        self.weight = normal(rngs, "D E", (D, E), D)

    def __call__(self, h_BxKxD: Float[Array, "B K D"]) -> Float[Array, "B K E"]:
        return jnp.einsum("BKD,DE->BKE", h_BxKxD, self.weight[...])


def hidden_states(c: ConfigDict) -> Loss:
    """The mean squared distance, over what the teacher's elements are in the mean square (arXiv 2503.20083, appendix).

    Compared are the states that read-outs take, at positions that have read a span, and nothing after it. Without a
    projection, which is learnt beside the student, they are of models of one width.

    Args:
      c: a `lexitok.config.hidden_states` section: `project`.

    Raises:
      ValueError: when it is traced, the models are of different widths.
    """

    def compare(pair: Pair, projection: Any = None) -> Compared:
        ours, theirs = (
            side.after(side.model.hidden_BxSxD).astype(jnp.float32) for side in (pair.student, pair.teacher)
        )
        if projection is not None:
            ours = projection(ours)
        if ours.shape[-1] != theirs.shape[-1]:
            raise ValueError(
                f"hidden states of widths {ours.shape[-1]} and {theirs.shape[-1]} cannot be compared: set the loss's "
                "`project`"
            )
        there = pair.is_scored_BxK & pair.student.is_read_BxK & pair.teacher.is_read_BxK
        theirs = jax.lax.stop_gradient(theirs)
        count = jnp.maximum(jnp.sum(there).astype(jnp.float32), 1.0) * theirs.shape[-1]
        scale = jnp.sum(jnp.where(there[..., None], jnp.square(theirs), 0.0)) / count
        apart = jnp.mean(jnp.square(ours - theirs), axis=-1)
        return Compared(apart / jnp.maximum(scale, 1e-12), there.astype(jnp.float32))

    return Loss(compare, vocabularies=False, hidden=True, parameters=_projection if c.project else None)


def _projection(rngs: nnx.Rngs, student: int, teacher: int) -> Projection:
    return Projection(student, teacher, rngs=rngs)
