"""Sorted probabilities: Universal Logit Distillation (arXiv 2402.12030), at targets of the same bytes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.span_logits import SpanLogits, over_spans


def uld(c: ConfigDict) -> Loss:
    """The sum of the differences between both models' probabilities, the largest with the largest, and so on.

    It does not look at what symbols stand for: a student that is as sure of something else has a loss of 0. The
    published code pairs positions by their number, which are of the same text only between equal tokenizers; here they
    are those of spans of one target each.

    Args:
      c: a `lexitok.config.uld` section: `temperature`, of both; `chunk`, spans whose logits are held at once.

    Raises:
      ValueError: a temperature that is not positive.
    """
    if not c.temperature > 0:
        raise ValueError(f"temperature {c.temperature} is to be above 0")

    def of(ours: SpanLogits, theirs: SpanLogits) -> Float[Array, "B C"]:
        sides = [jax.nn.softmax(side.logits_BxCxmxV[:, :, 0] / c.temperature) for side in (ours, theirs)]
        return sorted_distance(*sides)

    def compare(pair: Pair) -> Compared:
        values, there = over_spans(of, pair, chunk=c.chunk)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)


def sorted_distance(p: Float[Array, "*n V"], q: Float[Array, "*n U"]) -> Float[Array, "*n"]:
    """`Σ |sort(p) - sort(q)|` over the last axis; the shorter one is filled with zeros."""
    a, b = (-jnp.sort(-x, axis=-1) for x in (p, q))
    size = max(a.shape[-1], b.shape[-1])
    a, b = (jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1])]) for x in (a, b))
    return jnp.sum(jnp.abs(a - b), axis=-1)
