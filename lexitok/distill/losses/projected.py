"""The student's predictions in the teacher's symbols, by a matrix: P-KL of X-Token (arXiv 2605.21699)."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.projection import Projection, projection
from lexitok.distill.span_logits import SpanLogits, mean_over_targets, over_spans
from lexitok.nn.parameters import parameter

_LEAST = 1e-10  # that is added to the student's probabilities, as in the authors' code


def projected(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """`T² KL(teacher ‖ student)` a span, over the teacher's symbols.

    The student's probabilities go through the matrix of `lexitok.distill.projection`, are averaged over the targets of
    a span and made to sum to one; of the teacher the logarithms are averaged, and not made to sum to one, as in the
    authors' code. With equal tokenizers it is `KL(teacher ‖ student)` at a temperature, times its square.

    A matrix that learns begins as that one; the weights of a symbol stay above 0 and keep their sum.

    Args:
      c: a `lexitok.config.projected` section: `temperature`; `longest`, targets that a span has at most, the student's
        and the teacher's; `top_k`, of the teacher's symbols in a span, by their averaged logarithms, 0: all; `learn`,
        whether the matrix learns beside the student; `chunk`.
      student, teacher: the encoders.

    Raises:
      ValueError: a temperature that is not positive.
      MatchError: as of `projection`.
    """
    if not c.temperature > 0:
        raise ValueError(f"temperature {c.temperature} is to be above 0")
    matrix, V = projection(student, teacher), teacher.vocabulary.size

    def of(ours: SpanLogits, theirs: SpanLogits, weights: Float[Array, "n"]) -> Float[Array, "B C"]:
        q = mean_over_targets(jax.nn.softmax(ours.logits_BxCxmxV / c.temperature), ours)
        entries = q[..., matrix.student] * weights[None, None]
        q = jnp.zeros((*q.shape[:2], V)).at[..., matrix.teacher].add(entries)
        log_p = mean_over_targets(jax.nn.log_softmax(theirs.logits_BxCxmxV / c.temperature), theirs)
        if 0 < c.top_k < V:
            log_p, at = jax.lax.top_k(log_p, c.top_k)
            q = jnp.take_along_axis(q, at, axis=-1)
        q = q / jnp.maximum(jnp.sum(q, axis=-1, keepdims=True), _LEAST)
        return c.temperature**2 * jnp.sum(jnp.exp(log_p) * (log_p - jnp.log(q + _LEAST)), axis=-1)

    def compare(pair: Pair, learnt: Any = None) -> Compared:
        weights = jnp.asarray(matrix.weights) if learnt is None else learnt(matrix.student)
        values, there = over_spans(of, pair, longest=tuple(c.longest), chunk=c.chunk, learnt=(weights,))
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare, parameters=(lambda rngs, ours, theirs: Weights(matrix)) if c.learn else None)


class Weights(nnx.Module):
    """Those of a matrix that learns, as logarithms."""

    def __init__(self, matrix: Projection):
        self.logs = parameter("V", jnp.log(matrix.weights))

    def __call__(self, student_n: Int[np.ndarray, "n"]) -> Float[Array, "n"]:
        """What they are; `student_n`: the student's symbol of each, in rising order."""
        count = int(student_n[-1]) + 1
        sums = functools.partial(jax.ops.segment_sum, num_segments=count, indices_are_sorted=True)
        weights = jnp.exp(self.logs[...])
        return weights / sums(weights, student_n)[student_n]
