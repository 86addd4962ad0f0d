"""Whole logits of both models, a few spans at a time, for losses that need more than a read-out's reductions."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Int

from lexitok.distill.pair import Pair, Side
from lexitok.distill.whole_logits import WholeLogits
from lexitok.ops.read_out.positions import cut, joined
from lexitok.sharding.rows import ROWS, row_ways


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SpanLogits:
    """What a model says at the targets of some spans, `m` of each at most.

    Attributes:
      logits_BxCxmxV: float32.
      targets_BxCxm: what was there.
      there_BxCxm: whether there is such a target.
    """

    logits_BxCxmxV: Float[Array, "B C m V"] | Any
    targets_BxCxm: Int[Array, "B C m"] | Any
    there_BxCxm: Bool[Array, "B C m"] | Any


OfSpans = Callable[..., Float[Array, "B C"]]  # of `SpanLogits`
Rows = tuple[Any, Int[Array, "B K m"], Bool[Array, "B K m"]]


def over_spans(
    of: OfSpans,
    pair: Pair,
    *,
    longest: tuple[int, ...] = (1, 1),
    chunk: int,
    late: bool = False,
    learnt: Sequence[Array] = (),
) -> tuple[Float[Array, "B K"], Bool[Array, "B K"]]:
    """A number for each span, from the logits at its targets: the student's, and the teacher's, which have no gradient.

    Logits of `chunk` spans of a row are held, and computed again on the way back. On a mesh that is set each device
    goes over its own rows, with whole tables: what it needs of them is gathered before the first chunk, and their
    gradients are summed behind the last.

    Args:
      of: from the logits of some spans, to be differentiated by the student's.
      pair: both models.
      longest: targets of a span that are looked at, the student's and the teacher's; longer spans are left out.
      chunk: spans that are looked at together.
      late: logits are those of the position that has read a target, and not of it, as one public code has them; spans
        that end a piece are left out then.
      learnt: arrays that `of` takes, too, with their gradients.

    Returns:
      The numbers, and whether there is one: scored spans that are not too long.

    Raises:
      ValueError: as `lexitok.distill.whole_logits.of_model`.
    """
    sides = (pair.student, pair.teacher)
    sources = [pair.student.logits, pair.teacher.logits.fixed]
    short = pair.is_scored_BxK
    for side, m in zip(sides, longest, strict=True):
        short &= (side.counts_BxK <= m) & (side.is_read_BxK | (not late))
    gathered = [_targets(side, m, late) for side, m in zip(sides, longest, strict=True)]
    rows = [
        (Side.at(source.at_BxS, at), targets, there)
        for source, (at, targets, there) in zip(sources, gathered, strict=True)
    ]
    values = over_logits(of, rows, sources, chunk, learnt=learnt)
    return jnp.where(short, values, 0.0), short


def over_logits(
    of: OfSpans,
    rows: Sequence[Rows],
    sources: Sequence[WholeLogits],
    chunk: int,
    more: Sequence[Array] = (),
    learnt: Sequence[Array] = (),
) -> Float[Array, "B K"]:
    """A number for each of `K` places of each row, from logits there.

    As of `over_spans`, `chunk` places are held at a time, and each device goes over its own rows.

    Args:
      of: to numbers: from the logits at some places, an argument for each of `rows`, what there is `more`, and what is
        `learnt`.
      rows: of each what logits are made of, `[B, K, m, ...]`, and what `SpanLogits` calls targets and whether they are
        there.
      sources: that make them.
      chunk: places.
      more: arrays `[B, K, ...]` of the places.
      learnt: arrays that are the same for all.
    """
    scan = functools.partial(_scan, of, [source.make for source in sources], chunk)
    return _on_rows(scan, (list(rows), list(more)), ([source.shared for source in sources], list(learnt)))


def _on_rows(function: Any, rows: Any, weights: Any) -> Float[Array, "B K"]:
    """The function on every device's rows."""
    if row_ways() == 1:
        return function(rows, weights)
    mesh = jax.sharding.get_abstract_mesh()
    return jax.shard_map(function, mesh=mesh, in_specs=(ROWS, P()), out_specs=ROWS, check_vma=False)(rows, weights)


def _scan(of: OfSpans, makers: list[Any], chunk: int, rows: Any, weights: Any) -> Float[Array, "B K"]:
    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.nothing_saveable)
    def one(weights: Any, rows: Any) -> Float[Array, "B C"]:
        (sides, more), (shared, learnt) = rows, weights
        made = [
            SpanLogits(_made(make, at, w, targets.shape), targets, there)
            for make, w, (at, targets, there) in zip(makers, shared, sides, strict=True)
        ]
        return of(*made, *more, *learnt)

    values = jax.lax.scan(lambda _, rows: (None, one(weights, rows)), None, cut(rows, chunk))[1]
    return joined(values, rows[0][0][1].shape[1])


def _made(make: Any, at: Any, shared: Any, shape: tuple[int, ...]) -> Float[Array, "B C m V"]:
    """The logits at positions of a shape `B C m`."""
    flat = jax.tree.map(lambda x: x.reshape(shape[0], shape[1] * shape[2], *x.shape[3:]), at)
    return make(flat, shared).reshape(*shape, -1)


def mean_over_targets(x_BxCxmxV: Float[Array, "B C m V"], side: SpanLogits) -> Float[Array, "B C V"]:
    """The mean over the targets that are there."""
    there = side.there_BxCxm.astype(jnp.float32)
    total = jnp.sum(x_BxCxmxV * there[..., None], axis=2)
    return total / jnp.maximum(jnp.sum(there, axis=-1, keepdims=True), 1.0)


def _targets(side: Side, m: int, late: bool) -> tuple[Int[Array, "B K m"], Int[Array, "B K m"], Bool[Array, "B K m"]]:
    """Positions of the logits of each span's first `m` targets, what these are, and whether they are there.

    A span's targets stand one after the other.
    """
    counts = side.counts_BxK.astype(jnp.int32)[..., None]
    number = jnp.arange(m, dtype=jnp.int32)[None, None]
    there = number < counts
    at = jnp.where(there, side.last_BxK[..., None] - counts + 1 + number, 0)
    reads = jnp.minimum(at + 1, side.of_BxS.shape[1] - 1) if late else at
    return reads, side.at(side.tokens.targets_BxS, at), there
