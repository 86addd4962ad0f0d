"""Symbols that go together one by one, the others by their sorted sizes: H-KL of X-Token (arXiv 2605.21699)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.loss import Loss
from lexitok.distill.losses.uld import sorted_distance
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.projection import projection
from lexitok.distill.span_logits import SpanLogits, mean_over_targets, over_spans

LEAST_WEIGHT = 0.6  # in the projection, of symbols that go together


def hybrid(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """`T²` times the divergence of symbols that go together, and of what is left the distance of sorted probabilities.

    Logarithms of both models' probabilities are averaged over the targets of a span. Symbols go together that both
    vocabularies have, and a student's with the first of its parts in the teacher's tokens where no other has it. The
    divergence is the generalised one, `Σ p log(p / q) - p + q`, which is no less than 0 although neither sums to one
    over these symbols; the authors' code leaves out the last two terms. With equal tokenizers it is `T²` times the
    plain divergence, teacher first.

    Args:
      c: a `lexitok.config.hybrid` section: `temperature`; `longest`, targets that a span has at most, the student's and
        the teacher's; `chunk`.
      student, teacher: the encoders.

    Raises:
      ValueError: a temperature that is not positive.
      MatchError: as of `projection`.
    """
    if not c.temperature > 0:
        raise ValueError(f"temperature {c.temperature} is to be above 0")
    ours, theirs = together(student, teacher)
    left = [
        np.setdiff1d(np.arange(encoder.vocabulary.size), ids) for encoder, ids in ((student, ours), (teacher, theirs))
    ]

    def of(a: SpanLogits, b: SpanLogits) -> Float[Array, "B C"]:
        log_q, log_p = (
            mean_over_targets(jax.nn.log_softmax(side.logits_BxCxmxV / c.temperature), side) for side in (a, b)
        )
        q, p = log_q[..., ours], log_p[..., theirs]
        apart = jnp.sum(jnp.exp(p) * (p - q) - jnp.exp(p) + jnp.exp(q), axis=-1)
        if max(map(len, left)):
            apart = apart + sorted_distance(jnp.exp(log_q[..., left[0]]), jnp.exp(log_p[..., left[1]]))
        return c.temperature**2 * apart

    def compare(pair: Pair) -> Compared:
        values, there = over_spans(of, pair, longest=tuple(c.longest), chunk=c.chunk)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)


def together(student: Encoder, teacher: Encoder) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Ids of symbols that go together, each in one pair: that of the highest weight, and of these of the lowest id."""
    matrix = projection(student, teacher)
    heavy = matrix.weights >= LEAST_WEIGHT
    best: dict[int, tuple[float, int]] = {}
    entries = (matrix.student[heavy].tolist(), matrix.teacher[heavy].tolist(), matrix.weights[heavy].tolist())
    for ours, theirs, weight in zip(*entries, strict=True):
        if weight > best.get(theirs, (0.0, -1))[0]:
            best[theirs] = (weight, ours)
    pairs = np.array(sorted((ours, theirs) for theirs, (_, ours) in best.items()), np.int32)
    return pairs[:, 0], pairs[:, 1]
