"""The teacher's distribution in the student's symbols, by the bytes that tokens begin with (arXiv 2607.22334)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.distill.byte_prefixes import OVER, BytePrefixes, byte_prefixes
from lexitok.distill.losses.distributions import divergence
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair, Side
from lexitok.distill.span_logits import SpanLogits, over_logits
from lexitok.text.vocabulary import Vocabulary

DIVERGENCES = ("kl", "jensen_shannon")
_SPACE = b" \t\n\r"
_LEAST = 1e-20


class Teaching(NamedTuple):
    """What the teacher has for each of the student's targets.

    Attributes:
      at_BxS: its target that has the byte with which the student's begins.
      inside_BxS: bytes of it before that one.
      chain_BxS: where the student's target goes on behind it, the probability of the teacher's further targets up to
        the one in which the student's ends, given it; else 0.
      there_BxS: whether there is such a thing.
    """

    at_BxS: Int[Array, "B S"]
    inside_BxS: Int[Array, "B S"]
    chain_BxS: Float[Array, "B S"]
    there_BxS: Bool[Array, "B S"]


def byte_prefix(c: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    """A divergence of each of the student's targets, over the student's symbols.

    The mass of a token of the teacher is that of the longest symbol of the student that its bytes begin with. Where the
    student's target begins inside a token of the teacher, it is the mass of tokens with the same bytes before that,
    made to sum to one, and the symbol is what the bytes behind it begin with. A target that goes on behind its token of
    the teacher has the probability of the teacher's tokens up to its end, which is taken from the symbol that the first
    one would have gone to. What has no symbol is left out, and a target counts as much as what is left. With equal
    tokenizers it is the plain divergence.

    Byte for byte this makes students put white space where the teacher's tokenizer does; `mask_whitespace` leaves out
    spans inside of which one of both has an end beside white space that the other has not.

    Args:
      c: a `lexitok.config.byte_prefix` section: `divergence`, `kl` or `jensen_shannon`; `depth`, bytes inside a token
        of the teacher; `mask_whitespace`; `chunk`, targets whose logits are held at once.
      student, teacher: the encoders.

    Raises:
      ValueError: one of them is unknown, or out of range.
      MatchError: the vocabularies share nothing.
    """
    if c.divergence not in DIVERGENCES:
        raise ValueError(f"unknown divergence '{c.divergence}'; there are {', '.join(DIVERGENCES)}")
    if c.depth < 1:
        raise ValueError(f"depth {c.depth} is to be 1 or more")
    prefixes = byte_prefixes(student.vocabulary, teacher.vocabulary, c.depth)
    lengths = student.vocabulary.lengths, teacher.vocabulary.lengths
    V = student.vocabulary.size

    def of(ours: SpanLogits, theirs: SpanLogits, inside: Array, chain: Array) -> Float[Array, "B C"]:
        p, targets = jax.nn.softmax(theirs.logits_BxCxmxV[:, :, 0]), theirs.targets_BxCxm[..., 0]
        mass, cell = masses(p, targets, inside, prefixes)
        moved = chain * jnp.take_along_axis(mass, targets[..., None], axis=-1)[..., 0]
        head = jnp.take_along_axis(cell, targets[..., None], axis=-1)[..., 0]
        cells, rest = in_cells(mass, cell, V, moved, head, ours.targets_BxCxm[..., 0])
        total = jnp.sum(cells, axis=-1, keepdims=True)
        log_p = jnp.log(cells / jnp.maximum(total, _LEAST) + _LEAST)
        log_q = jax.nn.log_softmax(ours.logits_BxCxmxV[:, :, 0])
        return divergence(c.divergence, log_p, log_q, 0.5) * (1 - rest)

    def compare(pair: Pair) -> Compared:
        taught = teaching(pair, lengths, prefixes.first_VxD.shape[1])
        there = taught.there_BxS
        if c.mask_whitespace:
            clear = ~_is_about_space(pair, student.vocabulary, teacher.vocabulary)
            there &= Side.at(clear, jnp.maximum(pair.student.of_BxS, 0))
        ours, theirs = pair.student.logits, pair.teacher.logits.fixed
        student_rows, teacher_rows = (
            (jax.tree.map(lambda x: x[:, :, None], x), targets[..., None], there[..., None])
            for x, targets in (
                (ours.at_BxS, pair.student.tokens.targets_BxS),
                (Side.at((theirs.at_BxS, pair.teacher.tokens.targets_BxS), taught.at_BxS)),
            )
        )
        more = taught.inside_BxS, taught.chain_BxS
        values = over_logits(of, (student_rows, teacher_rows), (ours, theirs), c.chunk, more)
        return Compared(values, there.astype(jnp.float32))

    return Loss(compare)


def masses(
    p_BxCxV: Float[Array, "B C V"],
    targets_BxC: Int[Array, "B C"],
    inside_BxC: Int[Array, "B C"],
    prefixes: BytePrefixes,
) -> tuple[Float[Array, "B C V"], Int[Array, "B C V"]]:
    """The mass of the teacher's tokens, given the bytes that there have been, and the student's symbols for them.

    Args:
      p_BxCxV: the teacher's probabilities.
      targets_BxC: its target.
      inside_BxC: bytes of that which there have been: only tokens that begin with these, and go on, have a mass.
      prefixes: of both vocabularies.

    Returns:
      The masses, which sum to 1, and for each token the symbol, below 0 where there is none.
    """
    low, high = (jnp.asarray(x)[targets_BxC, inside_BxC][..., None] for x in (prefixes.low_VxD, prefixes.high_VxD))
    cell = jnp.moveaxis(jnp.asarray(prefixes.first_VxD)[:, inside_BxC], 0, -1)
    rank = jnp.asarray(prefixes.rank_V)[None, None]
    counted = ((inside_BxC[..., None] == 0) | ((rank >= low) & (rank < high))) & (cell != OVER)
    mass = jnp.where(counted, p_BxCxV, 0.0)
    return mass / jnp.maximum(jnp.sum(mass, axis=-1, keepdims=True), _LEAST), cell


def in_cells(
    mass_BxCxV: Float[Array, "B C V"],
    cell_BxCxV: Int[Array, "B C V"],
    size: int,
    moved_BxC: Float[Array, "B C"],
    head_BxC: Int[Array, "B C"],
    target_BxC: Int[Array, "B C"],
) -> tuple[Float[Array, "B C size"], Float[Array, "B C"]]:
    """The teacher's mass by the student's symbols, and what has none; together 1.

    Args:
      mass_BxCxV, cell_BxCxV: of its tokens, as of `masses`.
      size: symbols of the student.
      moved_BxC: the part of it that is the student's target's, though it lies where the first of several tokens does.
      head_BxC: the symbol of that token.
      target_BxC: the student's target.
    """
    places = jnp.concatenate([cell_BxCxV, head_BxC[..., None], target_BxC[..., None]], axis=-1)
    amounts = jnp.concatenate([mass_BxCxV, -moved_BxC[..., None], moved_BxC[..., None]], axis=-1)
    places = jnp.where(places < 0, size, places)
    filled = jax.vmap(jax.vmap(lambda x, at: jax.ops.segment_sum(x, at, size + 1)))(amounts, places)
    filled = jnp.maximum(filled, 0.0)
    return filled[..., :size], filled[..., size]


def teaching(pair: Pair, lengths: tuple[np.ndarray, np.ndarray], depth: int) -> Teaching:
    """What the teacher has for each of the student's targets, by bytes.

    Args:
      pair: both models.
      lengths: bytes of each symbol, the student's and the teacher's.
      depth: bytes inside a target of the teacher that are looked at.
    """
    student, teacher = pair.student, pair.teacher
    starts, ends = zip(*(_offsets(side) for side in (student, teacher)), strict=True)
    exact = [_is_exact(side, x) for side, x in zip((student, teacher), lengths, strict=True)]
    span = jnp.maximum(student.of_BxS, 0)
    whole = (exact[0] & exact[1] & pair.is_scored_BxK, teacher.last_BxK)
    scored, last = (Side.at(x, span) for x in whole)
    text = student.tokens.bytes_BxS > 0
    at = jax.vmap(lambda ends, x: jnp.searchsorted(ends, x, side="right"))(ends[1], starts[0]).astype(jnp.int32)
    until = jax.vmap(lambda ends, x: jnp.searchsorted(ends, x, side="left"))(ends[1], ends[0]).astype(jnp.int32)
    at, until = (jnp.clip(jnp.where(text, x, last), 0, teacher.of_BxS.shape[1] - 1) for x in (at, until))
    inside = jnp.where(text, starts[0] - Side.at(starts[1], at), 0)
    there = scored & (student.of_BxS >= 0) & (inside >= 0) & (inside < depth)
    inside = jnp.where(there, inside, 0)
    sums = _sums_in_spans(teacher)
    chain = Side.at(sums, until) - Side.at(sums, at)
    return Teaching(at, inside, jnp.where(there & (until > at), jnp.exp(chain), 0.0), there)


def _offsets(side: Side) -> tuple[Int[Array, "B S"], Int[Array, "B S"]]:
    """Bytes of the row before each target, and up to its end."""
    ends = jnp.cumsum(side.tokens.bytes_BxS.astype(jnp.int32), axis=1)
    return ends - side.tokens.bytes_BxS, ends


def _sums_in_spans(side: Side) -> Float[Array, "B S"]:
    """The log-probability of each target and of those before it in its span."""

    def join(a: Any, b: Any) -> Any:
        return a[0] | b[0], jnp.where(b[0], b[1], a[1] + b[1])

    opens = jnp.pad(side.of_BxS[:, 1:] != side.of_BxS[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    return jax.lax.associative_scan(join, (opens, side.log_p_BxS), axis=1)[1]


def _is_exact(side: Side, length_V: np.ndarray) -> Bool[Array, "B K"]:
    """Whether the targets of a span are the bytes of the text, one by one: not where a tokenizer normalises."""
    same = jnp.asarray(length_V)[side.tokens.targets_BxS] == side.tokens.bytes_BxS
    return side.sums(jnp.where(same, 0.0, 1.0)) == 0


def _is_about_space(pair: Pair, student: Vocabulary, teacher: Vocabulary) -> Bool[Array, "B K"]:
    """Spans inside of which a target of one of both ends beside white space."""
    found = False
    for side, vocabulary in ((pair.student, student), (pair.teacher, teacher)):
        tokens = vocabulary.token_bytes
        opens, closes = (np.array([t[at] in _SPACE if t else False for t in tokens]) for at in (0, -1))
        targets, of = side.tokens.targets_BxS, side.of_BxS
        following = jnp.roll(targets, -1, axis=1)
        inner = (jnp.roll(of, -1, axis=1) == of) & (jnp.arange(of.shape[1]) < of.shape[1] - 1)[None]
        beside = inner & (jnp.asarray(closes)[targets] | jnp.asarray(opens)[following])
        found |= side.sums(beside.astype(jnp.float32)) > 0
    return jnp.asarray(found)
