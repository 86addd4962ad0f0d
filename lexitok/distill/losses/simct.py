"""SimCT (arXiv 2605.07711): shared symbols, and a span of several targets as one symbol more."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.loss import Loss
from lexitok.distill.losses.one_to_one import divergence
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.shared_symbols import shared_symbols
from lexitok.distill.span_logits import SpanLogits, mean_over_targets, over_spans


def simct(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """`KL(student ‖ teacher)` of what may come first in a span: the shared symbols, or the whole span.

    Logits of the shared symbols are those before the span's first target; that of the span, where it is no shared
    symbol by itself, is the mean of its targets' logits: as published, and a softmax over both is no probability of
    either. Spans end wherever both tokenisations do, and not, as in the public code, one target later. With equal
    tokenizers it is the plain divergence.

    Args:
      c: a `lexitok.config.simct` section: `longest`, targets that a span has at most, the student's and the teacher's;
        `chunk`, spans whose logits are held at once.
      student, teacher: the encoders.

    Raises:
      MatchError: the vocabularies share nothing.
    """
    shared = shared_symbols(student.vocabulary, teacher.vocabulary)
    partner = shared.teacher_of(student.vocabulary.size)

    def of(ours: SpanLogits, theirs: SpanLogits) -> Float[Array, "B C"]:
        single = (jnp.sum(ours.there_BxCxm, -1) == 1) & (jnp.sum(theirs.there_BxCxm, -1) == 1)
        first = ours.targets_BxCxm[..., 0]
        is_shared = single & (jnp.asarray(partner)[first] == theirs.targets_BxCxm[..., 0])
        rows = []
        for side, ids in ((ours, shared.student), (theirs, shared.teacher)):
            of_target = jnp.take_along_axis(side.logits_BxCxmxV, side.targets_BxCxm[..., None], axis=-1)
            whole = mean_over_targets(of_target, side)
            whole = jnp.where(is_shared[..., None], -1e9, whole)
            rows.append(jax.nn.log_softmax(jnp.concatenate([side.logits_BxCxmxV[:, :, 0, ids], whole], axis=-1)))
        return divergence("reverse_kl", rows[1], rows[0], 0.5)

    def compare(pair: Pair) -> Compared:
        values, there = over_spans(of, pair, longest=tuple(c.longest), chunk=c.chunk)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)
