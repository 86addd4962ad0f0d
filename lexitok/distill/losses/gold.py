"""GOLD (TRL): spans as one prediction each; shared symbols by Jensen-Shannon, the others by their sorted sizes."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.distributions import divergence
from lexitok.distill.losses.loss import Loss
from lexitok.distill.losses.uld import sorted_distance
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.shared_symbols import shared_symbols
from lexitok.distill.span_logits import SpanLogits, over_spans

MERGES = ("last", "legacy")
_LEAST = 1e-30


def gold(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """A divergence of the distributions that both models give to spans.

    A span's is that of its last target, times the probabilities of the targets before it (`last`): the symbols are what
    may stand there when the rest has been read. The public code (`legacy`) takes all of it one position later: the
    distribution behind the span's first target, and the probabilities of further ones to be there twice.

    Shared symbols are compared by a Jensen-Shannon divergence of what each model gives them, made to sum to one; the
    others by the sum of the differences of their sorted probabilities. With equal tokenizers all symbols are shared,
    and it is the plain Jensen-Shannon divergence.

    Args:
      c: a `lexitok.config.gold` section: `merge`; `beta`, as of `one_to_one`; `temperature`, of both; `longest`,
        targets that a span has at most, the student's and the teacher's; `chunk`. The shared part is weighed by the
        fraction of the teacher's symbols that are shared, and the other part by what is left.
      student, teacher: the encoders.

    Raises:
      ValueError: one of them is unknown, or out of range.
      MatchError: the vocabularies share nothing.
    """
    if c.merge not in MERGES:
        raise ValueError(f"unknown merge '{c.merge}'; there are {', '.join(MERGES)}")
    if not c.temperature > 0 or not 0 < c.beta < 1:
        raise ValueError(f"temperature {c.temperature} is to be above 0, and beta {c.beta} between 0 and 1")
    shared = shared_symbols(student.vocabulary, teacher.vocabulary)
    weight = len(shared.teacher) / teacher.vocabulary.size
    rest = [
        np.setdiff1d(np.arange(encoder.vocabulary.size), ids)
        for encoder, ids in ((student, shared.student), (teacher, shared.teacher))
    ]

    def of(ours: SpanLogits, theirs: SpanLogits) -> Float[Array, "B C"]:
        q, p = (merged(side, c.merge, c.temperature) for side in (ours, theirs))
        log_p, log_q = (
            jax.nn.log_softmax(jnp.log(x[..., ids] + _LEAST)) for x, ids in ((p, shared.teacher), (q, shared.student))
        )
        apart = divergence("jensen_shannon", log_p, log_q, c.beta)
        others = sorted_distance(q[..., rest[0]], p[..., rest[1]]) if max(map(len, rest)) else 0.0
        return weight * apart + (1 - weight) * others

    def compare(pair: Pair) -> Compared:
        legacy = c.merge == "legacy"
        values, there = over_spans(of, pair, longest=tuple(c.longest), chunk=c.chunk, late=legacy)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)


def merged(side: SpanLogits, merge: str, temperature: float) -> Float[Array, "B C V"]:
    """The probabilities of what a span may end with, or, `legacy`, begin with."""
    p_BxCxmxV = jax.nn.softmax(side.logits_BxCxmxV / temperature)
    of_target = jnp.take_along_axis(p_BxCxmxV, side.targets_BxCxm[..., None], axis=-1)[..., 0]
    m = p_BxCxmxV.shape[2]
    count = jnp.maximum(jnp.sum(side.there_BxCxm, axis=-1, keepdims=True), 1)
    number = jnp.arange(m, dtype=count.dtype)[None, None]
    chosen, others = (0, number > 0) if merge == "legacy" else (count - 1, number < count - 1)
    factor = jnp.prod(jnp.where(side.there_BxCxm & others, of_target, 1.0), axis=-1)
    base = jnp.take_along_axis(p_BxCxmxV, jnp.broadcast_to(chosen, count.shape)[..., None], axis=2)[:, :, 0]
    return base * factor[..., None]
