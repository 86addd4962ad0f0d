"""Hidden states after the same bytes."""

import jax
import jax.numpy as jnp

from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair


def hidden_states() -> Loss:
    """The mean squared distance, over what the teacher's elements are in the mean square (arXiv 2503.20083, appendix).

    Compared are the states that read-outs take, at positions that have read a span, and nothing after it. They are of
    models of one width.

    Raises:
      ValueError: when it is traced, the models are of different widths.
    """

    def compare(pair: Pair) -> Compared:
        ours, theirs = (side.after(side.read.hidden_BxSxD).astype(jnp.float32) for side in (pair.student, pair.teacher))
        if ours.shape[-1] != theirs.shape[-1]:
            raise ValueError(
                f"hidden states of widths {ours.shape[-1]} and {theirs.shape[-1]} cannot be compared: the loss "
                "'hidden_states' is for models of one width"
            )
        there = pair.is_scored_BxK & pair.student.is_read_BxK & pair.teacher.is_read_BxK
        theirs = jax.lax.stop_gradient(theirs)
        count = jnp.maximum(jnp.sum(there).astype(jnp.float32), 1.0) * theirs.shape[-1]
        scale = jnp.sum(jnp.where(there[..., None], jnp.square(theirs), 0.0)) / count
        apart = jnp.mean(jnp.square(ours - theirs), axis=-1)
        return Compared(apart / jnp.maximum(scale, 1e-12), there.astype(jnp.float32))

    return Loss(compare)
