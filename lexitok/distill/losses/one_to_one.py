"""Next-symbol distributions, compared where both models have a single target for the same bytes, on shared symbols."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.losses.distributions import DIVERGENCES, divergence
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair
from lexitok.distill.shared_symbols import shared_symbols
from lexitok.distill.span_logits import SpanLogits, over_spans

CHOOSERS = ("student", "teacher")


def one_to_one(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """A divergence over the symbols that both vocabularies have, at spans of one target each (arXiv 2610.08448).

    Both distributions are made to sum to one over these symbols, or over the `top_k` of them that one of the models
    holds most likely. With equal tokenizers, and all symbols, it is the plain divergence of both models.

    Args:
      c: a `lexitok.config.one_to_one` section: `divergence`; `beta`, the student's weight in the mixture of
        `jensen_shannon`, `(1 - beta) · KL(student ‖ mixture) + beta · KL(teacher ‖ mixture)` where it is not 0 or 1;
        `temperature`, of both; `top_k`, 0: all, that `chooser` takes; `chunk`, spans whose logits are held at once.
      student, teacher: the encoders.

    Raises:
      ValueError: one of them is unknown, or out of range.
      MatchError: the vocabularies share nothing.
    """
    if c.divergence not in DIVERGENCES:
        raise ValueError(f"unknown divergence '{c.divergence}'; there are {', '.join(DIVERGENCES)}")
    if c.chooser not in CHOOSERS:
        raise ValueError(f"unknown chooser '{c.chooser}'; there are {', '.join(CHOOSERS)}")
    if not c.temperature > 0 or not 0 < c.beta < 1:
        raise ValueError(f"temperature {c.temperature} is to be above 0, and beta {c.beta} between 0 and 1")
    shared = shared_symbols(student.vocabulary, teacher.vocabulary)
    k = min(c.top_k or len(shared.student), len(shared.student))

    def of(ours: SpanLogits, theirs: SpanLogits) -> Float[Array, "B C"]:
        z_q = ours.logits_BxCxmxV[:, :, 0, shared.student] / c.temperature
        z_p = theirs.logits_BxCxmxV[:, :, 0, shared.teacher] / c.temperature
        if k < len(shared.student):
            _, at = jax.lax.top_k(jax.lax.stop_gradient(z_q if c.chooser == "student" else z_p), k)
            z_q, z_p = (jnp.take_along_axis(z, at, axis=-1) for z in (z_q, z_p))
        return divergence(c.divergence, jax.nn.log_softmax(z_p), jax.nn.log_softmax(z_q), c.beta)

    def compare(pair: Pair) -> Compared:
        values, there = over_spans(of, pair, chunk=c.chunk)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)
