"""Two models that have read the same bytes in different tokens, as losses between them see it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lexitok.data.batch import Aligned, Predictions, Tokens
from lexitok.distill.whole_logits import WholeLogits, of_model, of_predictions
from lexitok.models.read_batch import ReadBatch
from lexitok.ops.read_out import Query, Reductions
from lexitok.text.alignment import NONE


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the models, on its tokenisation of a batch of aligned rows.

    Attributes:
      tokens: what it has read.
      found: the nats of its targets and, where losses ask for it, the log-mass of two groups of symbols: those that go
        on with a text, and those that begin something new (`lexitok.distill.beginnings`).
      of_BxS: the span of each target (`lexitok.data.batch.Alignment`), or `NONE`.
      spans: `K`, how many a row has room for.
      read: what the model has made of the batch; None: it was asked before, and its predictions are kept.
      predictions: these, and `symbols`, how many its vocabulary has.
    """

    tokens: Tokens
    found: Reductions
    of_BxS: Int[Array, "B S"]
    spans: int
    read: ReadBatch | None = None
    predictions: Predictions | None = None
    symbols: int = 0

    @classmethod
    def of_model(cls, read: ReadBatch, query: Query, of_BxS: Int[Array, "B S"], spans: int) -> "Side":
        """Of a model that has read the batch, and is asked."""
        return cls(read.batch.tokens, read.read_out(query), of_BxS, spans, read)

    @classmethod
    def of_predictions(cls, other: Aligned, symbols: int) -> "Side":
        """Of a teacher of `symbols` symbols whose predictions are kept, on its tokenisation of a batch."""
        kept, alignment = other.predictions, other.alignment
        found = Reductions(nll_BxS=kept.nll_BxT, log_mass_BxSxG=kept.log_mass_BxTxG)
        return cls(other.tokens, found, alignment.of_second_BxT, alignment.spans, None, kept, symbols)

    @property
    def logits(self) -> WholeLogits:
        """Whole logits at each position. Raises ValueError where symbols leave a model through no table."""
        if self.predictions is not None:
            return of_predictions(self.predictions, self.symbols)
        return of_model(self.model)

    @property
    def model(self) -> ReadBatch:
        """What the model has made of the batch. Raises ValueError where there are predictions in place of it."""
        if self.read is None:
            raise ValueError("the loss looks into the teacher, of which there are kept predictions alone")
        return self.read

    @property
    def log_p_BxS(self) -> Float[Array, "B S"]:
        """Log-probability of each target."""
        return -self.found.nll_BxS

    @functools.cached_property
    def counts_BxK(self) -> Float[Array, "B K"]:
        """Targets of each span; 0 for places that no span takes."""
        return self.sums(jnp.ones(self.of_BxS.shape, jnp.float32))

    @functools.cached_property
    def bytes_BxK(self) -> Float[Array, "B K"]:
        """Raw bytes of each span: none of those of specials."""
        return self.sums(self.tokens.bytes_BxS.astype(jnp.float32))

    @functools.cached_property
    def last_BxK(self) -> Int[Array, "B K"]:
        """The position of the last target of each span; -1 where there is none."""
        at = jnp.broadcast_to(jnp.arange(self.of_BxS.shape[1], dtype=jnp.int32), self.of_BxS.shape)
        ends = jax.vmap(lambda x, of: jnp.full(self.spans + 1, -1, jnp.int32).at[of].max(x))(at, self._places)
        return ends[:, : self.spans]

    @property
    def pieces_BxK(self) -> Int[Array, "B K"]:
        """The piece of each span, counted from 1; 0 where there is none."""
        return jnp.where(self.last_BxK < 0, 0, self.at(self.tokens.segments_BxS, jnp.maximum(self.last_BxK, 0)))

    @functools.cached_property
    def is_read_BxK(self) -> Bool[Array, "B K"]:
        """Whether a position of the same piece has read the span: not for the last of a piece."""
        after = jnp.minimum(self.last_BxK + 1, self.of_BxS.shape[1] - 1)
        same = self.at(self.tokens.segments_BxS, after) == self.pieces_BxK
        return (self.last_BxK >= 0) & (self.last_BxK + 1 < self.of_BxS.shape[1]) & same

    def sums(self, x_BxS: Float[Array, "B S"]) -> Float[Array, "B K"]:
        """The sum over the targets of each span."""
        return jax.vmap(lambda x, of: jax.ops.segment_sum(x, of, self.spans + 1))(x_BxS, self._places)[:, : self.spans]

    def after(self, x: Array) -> Array:
        """Of what there is at each position, `[B, S, ...]`, that of the one which has read a span, `[B, K, ...]`.

        It is of no meaning where there is none (`is_read_BxK`).
        """
        return self.at(x, jnp.minimum(jnp.maximum(self.last_BxK, 0) + 1, self.of_BxS.shape[1] - 1))

    @staticmethod
    def at(x: Any, at_BxK: Int[Array, "B *K"]) -> Any:
        """`x[b, at[b, k]]`, row by row, of an array or a tree of them."""
        return jax.tree.map(lambda x: jax.vmap(lambda x, at: x[at])(x, at_BxK), x)

    @property
    def _places(self) -> Int[Array, "B S"]:
        """Where the sum of each target goes: behind all spans for those that are in none."""
        return jnp.where(self.of_BxS == NONE, self.spans, self.of_BxS)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A student and its teacher, whose numbers are not differentiated, on the same bytes.

    Attributes:
      student, teacher: each on its tokenisation.
    """

    student: Side
    teacher: Side

    @functools.cached_property
    def is_scored_BxK(self) -> Bool[Array, "B K"]:
        """Spans that both have, and all of whose targets the student is to predict, and not to see as context."""
        scored = self.student.sums(self.student.tokens.weights_BxS)
        return (self.student.counts_BxK > 0) & (self.teacher.counts_BxK > 0) & (scored == self.student.counts_BxK)

    @property
    def is_text_BxK(self) -> Bool[Array, "B K"]:
        """Spans of text; the others are of specials."""
        return self.student.bytes_BxK > 0

    @property
    def is_one_to_one_BxK(self) -> Bool[Array, "B K"]:
        """Scored spans that are a single target on both sides."""
        return self.is_scored_BxK & (self.student.counts_BxK == 1) & (self.teacher.counts_BxK == 1)


@dataclasses.dataclass(frozen=True)
class Compared:
    """What a loss has compared.

    Attributes:
      values: the loss of each item, float32, of any shape.
      weights: what each counts in their mean; 0: it was not compared.
    """

    values: Float[Array, "*items"]
    weights: Float[Array, "*items"] | Any

    @property
    def mean(self) -> Float[Array, ""]:
        """Over all that was compared; 0 where nothing was."""
        total = jnp.sum(jnp.where(self.weights > 0, self.weights * self.values, 0.0))
        return total / jnp.maximum(jnp.sum(self.weights), 1.0)
