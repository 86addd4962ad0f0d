"""Approximate likelihood matching: stretches of text are as likely to the student as they are to the teacher."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.distill.beginnings import BEGINS
from lexitok.distill.losses.divergences import binary_divergence
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair, Side

OUTCOMES = ("tokens", "bytes")


def alm(c: ConfigDict) -> Loss:
    """A divergence of yes-no questions, one a chunk of aligned spans (arXiv 2503.20083, section 3).

    The probability of a span is the product of those of its tokens. As the tokens of both models may go on differently
    after the same bytes, by default it is multiplied with the mass of what begins something new after it, each model's
    own (outcome `bytes`), and spans are merged with those behind them until the teacher gives these a mass above a
    threshold. The last span of a piece, after which nothing is read, is left out then; specials stand for themselves.

    Args:
      c: a `lexitok.config.alm` section: `divergence` and `temperature`, of `losses.divergences`; `outcome`, what a
        probability is of, `tokens` or `bytes`; `threshold`, 0: spans are not merged; `per`, what counts alike in the
        mean, a `chunk` or a `token` of the student.

    Raises:
      ValueError: one of them is unknown, or out of range.
    """
    divergence = binary_divergence(c.divergence, c.temperature)
    if c.outcome not in OUTCOMES:
        raise ValueError(f"unknown outcome '{c.outcome}'; there are {', '.join(OUTCOMES)}")
    if not 0 <= c.threshold < 1:
        raise ValueError(f"a threshold is a probability, not {c.threshold}")
    if c.per not in ("chunk", "token"):
        raise ValueError(f"a mean is per 'chunk' or 'token', not '{c.per}'")

    of_bytes = c.outcome == "bytes"
    looks = of_bytes or c.threshold > 0

    def compare(pair: Pair) -> Compared:
        chunks = merged(pair, c.threshold)
        log_p, log_q = (_log_p(side, chunks, of_bytes) for side in (pair.teacher, pair.student))
        there = pair.is_scored_BxK & _is_known(pair) if looks else pair.is_scored_BxK
        # A chunk of which a span is not compared is not compared either.
        missing = chunks.sums(jnp.where(there | (pair.student.counts_BxK == 0), 0.0, 1.0))
        sizes = chunks.sums(pair.student.counts_BxK)
        compared = (sizes > 0) & (missing == 0)
        values = divergence(jnp.where(compared, log_p, -1.0), jnp.where(compared, log_q, -1.0))
        return Compared(values, jnp.where(compared, sizes if c.per == "token" else 1.0, 0.0))

    return Loss(compare, beginnings=looks, vocabularies=False)


class Chunks(NamedTuple):
    """Spans, merged.

    Attributes:
      of_BxK: the chunk of each span, counted from 0 in its row.
      is_last_BxK: whether it is the last span of its chunk.
    """

    of_BxK: Int[Array, "B K"]
    is_last_BxK: Bool[Array, "B K"]

    def sums(self, x_BxK: Float[Array, "B K"]) -> Float[Array, "B K"]:
        """The sum over the spans of each chunk."""
        K = x_BxK.shape[1]
        return jax.vmap(lambda x, of: jax.ops.segment_sum(x, of, K))(x_BxK, self.of_BxK)


def merged(pair: Pair, threshold: float) -> Chunks:
    """Spans up to the next after which the teacher gives more than the threshold to what begins something new.

    A chunk does not go beyond a piece, nor beyond its text: a special is a chunk by itself.

    Args:
      pair: both models.
      threshold: a probability; 0: every span is a chunk.
    """
    K = pair.student.spans
    if threshold:
        mass = jnp.exp(pair.teacher.after(pair.teacher.found.log_mass_BxSxG)[..., BEGINS])
        text, pieces = pair.is_text_BxK, pair.student.pieces_BxK
        ends = ~pair.teacher.is_read_BxK | (mass > threshold) | ~text
        ends |= jnp.roll(~text, -1, axis=1) | (jnp.roll(pieces, -1, axis=1) != pieces)
    else:
        ends = jnp.ones((len(pair.student.of_BxS), K), bool)
    of_BxK = jnp.cumsum(ends, axis=1, dtype=jnp.int32) - ends.astype(jnp.int32)
    return Chunks(of_BxK, ends)


def _log_p(side: Side, chunks: Chunks, of_bytes: bool) -> Float[Array, "B K"]:
    """Of each chunk."""
    spans = side.sums(side.log_p_BxS)
    if of_bytes:
        begins = side.after(side.found.log_mass_BxSxG)[..., BEGINS]
        used = chunks.is_last_BxK & side.is_read_BxK & (side.bytes_BxK > 0)
        spans = spans + jnp.where(used, begins, 0.0)
    return chunks.sums(spans)


def _is_known(pair: Pair) -> Bool[Array, "B K"]:
    """Spans after which both have read on: what ends there is known. Of specials it is known in any case."""
    return (pair.student.is_read_BxK & pair.teacher.is_read_BxK) | ~pair.is_text_BxK
