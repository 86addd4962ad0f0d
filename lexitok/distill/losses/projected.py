"""The student's predictions in the teacher's symbols, by a matrix: P-KL of X-Token (arXiv 2605.21699)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.projection import projection
from lexitok.distill.span_logits import SpanLogits, mean_over_targets, over_spans

_LEAST = 1e-10  # that is added to the student's probabilities, as in the authors' code


def projected(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """`T² KL(teacher ‖ student)` a span, over the teacher's symbols.

    The student's probabilities go through the matrix of `lexitok.distill.projection`, are averaged over the targets of
    a span and made to sum to one; of the teacher the logarithms are averaged, and not made to sum to one, as in the
    authors' code. With equal tokenizers it is `KL(teacher ‖ student)` at a temperature, times its square.

    Args:
      c: a `lexitok.config.projected` section: `temperature`; `longest`, targets that a span has at most, the student's
        and the teacher's; `top_k`, of the teacher's symbols in a span, by their averaged logarithms, 0: all; `chunk`.
      student, teacher: the encoders.

    Raises:
      ValueError: a temperature that is not positive.
      MatchError: as of `projection`.
    """
    if not c.temperature > 0:
        raise ValueError(f"temperature {c.temperature} is to be above 0")
    matrix, V = projection(student, teacher), teacher.vocabulary.size

    def of(ours: SpanLogits, theirs: SpanLogits) -> Float[Array, "B C"]:
        q = mean_over_targets(jax.nn.softmax(ours.logits_BxCxmxV / c.temperature), ours)
        entries = q[..., matrix.student] * matrix.weights[None, None]
        q = jnp.zeros((*q.shape[:2], V)).at[..., matrix.teacher].add(entries)
        log_p = mean_over_targets(jax.nn.log_softmax(theirs.logits_BxCxmxV / c.temperature), theirs)
        if 0 < c.top_k < V:
            log_p, at = jax.lax.top_k(log_p, c.top_k)
            q = jnp.take_along_axis(q, at, axis=-1)
        q = q / jnp.maximum(jnp.sum(q, axis=-1, keepdims=True), _LEAST)
        return c.temperature**2 * jnp.sum(jnp.exp(log_p) * (log_p - jnp.log(q + _LEAST)), axis=-1)

    def compare(pair: Pair) -> Compared:
        values, there = over_spans(of, pair, longest=tuple(c.longest), chunk=c.chunk)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)
