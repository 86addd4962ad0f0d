"""Both models' predictions in both spaces, by attention between their tokens: DSKD (arXiv 2406.17328)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict

from lexitok.distill.losses.distributions import DIVERGENCES, divergence
from lexitok.distill.losses.loss import Loss
from lexitok.distill.pair import Compared, Pair, Side
from lexitok.distill.span_logits import SpanLogits, over_logits
from lexitok.nn.parameters import normal

_LEAST = 1e-6


class CrossAttention(nnx.Module):
    """What the tokens of one model are in the other's space.

    Args:
      D, E: widths of the student's hidden states and of the teacher's.
    """

    def __init__(self, D: int, E: int, *, rngs: nnx.Rngs):
        self.query = normal(rngs, "D E", (2 * D, 2 * E), 2 * D)
        self.to_student = normal(rngs, "E D", (E, D), E)
        self.to_teacher = normal(rngs, "D E", (D, E), D)

    def __call__(
        self, student: "States", teacher: "States", sees_BxSxT: Bool[Array, "B S T"]
    ) -> tuple[Float[Array, "B S D"], Float[Array, "B T E"]]:
        """The teacher's states for the student's targets, and the student's for the teacher's."""
        k_scale, h_scale, e_scale = (_deviation(x) for x in (teacher.seen, teacher.hidden, teacher.targets))
        query = student.seen @ self.query[...]
        scores = jnp.einsum("BSF,BTF->BST", query, teacher.seen / k_scale) / jnp.sqrt(float(query.shape[-1]))
        scores = jnp.where(sees_BxSxT, scores, -1e5)
        theirs = (teacher.hidden / h_scale + teacher.targets / e_scale) @ self.to_student[...]
        ours = student.hidden @ self.to_teacher[...]
        to_student = jnp.einsum("BST,BTD->BSD", jax.nn.softmax(scores, axis=2), theirs)
        to_teacher = jnp.einsum("BST,BSE->BTE", jax.nn.softmax(scores, axis=1), ours)
        return to_student, to_teacher


class States:
    """What a model has at each position, in float32: its hidden states, and the vectors of inputs and targets.

    Only the hidden states have a gradient.
    """

    def __init__(self, side: Side):
        bound, tokens = side.model.bound, side.tokens
        embed = (jax.lax.stop_gradient(bound.embed(x, jnp.float32)) for x in (tokens.symbols_BxS, tokens.targets_BxS))
        inputs, self.targets = embed
        self.seen = jnp.concatenate([inputs, self.targets], axis=-1)
        self.hidden = side.model.hidden_BxSxD.astype(jnp.float32)


def dskd(c: ConfigDict) -> Loss:
    """`CE(t→s, text) + D(teacher in the student's space, student) + KL(teacher, student in its space)`, a target each.

    Attention between the targets of both models, over those of one piece, makes states of each model for the targets of
    the other, and that one's table makes logits of them. The second term counts where the projected teacher's most
    likely symbol is the text's. As published, what is attended to has seen the targets: the projected teacher says how
    the text goes on because it has read it. The attention and two matrices are learnt; tables are not learnt by it.
    Widths, vocabularies and lengths may differ in any way, and nothing is plain between equal tokenizers.

    Args:
      c: a `lexitok.config.dskd` section: `divergence`, `kl`, `reverse_kl` or `jensen_shannon`, and `temperature` of
        both models in the second and third term; `chunk`, positions whose logits are held at once.

    Raises:
      ValueError: one of them is unknown, or out of range; when it is traced, symbols leave through no table.
    """
    if c.divergence not in DIVERGENCES:
        raise ValueError(f"unknown divergence '{c.divergence}'; there are {', '.join(DIVERGENCES)}")
    if not c.temperature > 0:
        raise ValueError(f"temperature {c.temperature} is to be above 0")

    def in_students(projected: SpanLogits, ours: SpanLogits) -> Float[Array, "B C"]:
        z_p, z_q = (side.logits_BxCxmxV[:, :, 0] for side in (projected, ours))
        targets = ours.targets_BxCxm[..., 0]
        nats = -jnp.take_along_axis(jax.nn.log_softmax(z_p), targets[..., None], axis=-1)[..., 0]
        right = jnp.argmax(z_p, axis=-1) == targets
        p, q = jax.nn.log_softmax(jax.lax.stop_gradient(z_p) / c.temperature), jax.nn.log_softmax(z_q / c.temperature)
        return nats + jnp.where(right, divergence(c.divergence, p, q, 0.5), 0.0)

    def in_teachers(theirs: SpanLogits, projected: SpanLogits) -> Float[Array, "B C"]:
        p, q = (jax.nn.log_softmax(side.logits_BxCxmxV[:, :, 0] / c.temperature) for side in (theirs, projected))
        return divergence("kl", p, q, 0.5)

    def compare(pair: Pair, attention: CrossAttention) -> Compared:
        student, teacher = pair.student, pair.teacher
        ours, theirs = student.logits, teacher.logits.fixed
        pieces = student.tokens.segments_BxS[:, :, None] == teacher.tokens.segments_BxS[:, None]
        sees = pieces & (student.tokens.segments_BxS > 0)[:, :, None]
        to_student, to_teacher = attention(States(student), States(teacher), sees)
        rows = (_rows(student, to_student), _rows(student, student.model.hidden_BxSxD))
        first = over_logits(in_students, rows, (ours.fixed, ours), c.chunk)
        rows = (_rows(teacher, teacher.model.hidden_BxSxD), _rows(teacher, to_teacher))
        second = over_logits(in_teachers, rows, (theirs, theirs), c.chunk)
        # A mean over the student's targets, and one over the teacher's: both halves weigh the same.
        weights, others = student.tokens.weights_BxS, teacher.tokens.weights_BxS
        others = others * (jnp.sum(weights) / jnp.maximum(jnp.sum(others), 1.0))
        return Compared(2 * jnp.concatenate([first, second], axis=1), jnp.concatenate([weights, others], axis=1))

    return Loss(compare, hidden=True, parameters=_attention)


def _attention(rngs: nnx.Rngs, student: int, teacher: int) -> CrossAttention:
    return CrossAttention(student, teacher, rngs=rngs)


def _rows(side: Side, hidden: Float[Array, "B S D"]) -> Any:
    there = jnp.ones((*side.of_BxS.shape, 1), bool)
    return hidden[:, :, None], side.tokens.targets_BxS[..., None], there


def _deviation(x: Float[Array, "B T E"]) -> Float[Array, ""]:
    return jnp.maximum(jnp.std(x), _LEAST)
