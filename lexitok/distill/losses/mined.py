"""The teacher's distribution in the student's symbols that spell most alike: MinED (FuseLLM, arXiv 2401.10491)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.edit_distance import nearest_by_edits
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair, Side
from lexitok.distill.span_logits import SpanLogits, over_spans

_NOTHING = -1e5  # the logit of a symbol that none of the teacher's is like, as in the authors' code


def mined(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """`KL(teacher ‖ student)` a target over the student's symbols, and the nats of the text where spans are longer.

    A symbol of the student has the largest of the teacher's logits for symbols that are nearest to it
    (`lexitok.distill.edit_distance`). Authors align tokens by edit distances, too; here it is by bytes, and a span of
    one target each is compared if the teacher's target is the student's by that map. All other targets of the student
    count with their nats, as in the authors' code, where their distributions are the text's. With equal tokenizers it
    is the plain divergence.

    Args:
      c: a `lexitok.config.mined` section: `temperature`, of both; `chunk`, spans whose logits are held at once.
      student, teacher: the encoders.

    Raises:
      ValueError: a temperature that is not positive.
      MatchError: the vocabularies share nothing.
    """
    if not c.temperature > 0:
        raise ValueError(f"temperature {c.temperature} is to be above 0")
    nearest, V = nearest_by_edits(student.vocabulary, teacher.vocabulary), student.vocabulary.size
    theirs_n = np.flatnonzero(nearest >= 0)
    ours_n = nearest[theirs_n]

    def of(ours: SpanLogits, theirs: SpanLogits) -> Float[Array, "B C"]:
        z_p = theirs.logits_BxCxmxV[:, :, 0, theirs_n]
        mapped = jnp.full((*z_p.shape[:2], V), _NOTHING).at[..., ours_n].max(z_p)
        log_p = jax.nn.log_softmax(mapped / c.temperature)
        log_q = jax.nn.log_softmax(ours.logits_BxCxmxV[:, :, 0] / c.temperature)
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)

    def compare(pair: Pair) -> Compared:
        values, there = over_spans(of, pair, chunk=c.chunk)
        same = there & (jnp.asarray(nearest)[_last(pair.teacher)] == _last(pair.student))
        nats = pair.student.sums(pair.student.found.nll_BxS)
        weights = jnp.where(pair.is_scored_BxK, pair.student.counts_BxK, 0.0)
        return Compared(jnp.where(same, values, nats), weights)

    return Loss(compare)


def _last(side: Side) -> Int[Array, "B K"]:
    """The last target of each span."""
    return side.at(side.tokens.targets_BxS, jnp.maximum(side.last_BxK, 0))
