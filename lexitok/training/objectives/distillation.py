"""Distillation from teachers that read the same bytes in other tokens: losses of `lexitok.distill`, weighted."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.spelling import Spelling
from lexitok.distill.beginnings import beginnings, beginnings_of_spelled
from lexitok.distill.losses import Loss, make_loss
from lexitok.distill.pair import Pair, Side
from lexitok.interfaces.bound import without_gradient
from lexitok.models.read_batch import ReadBatch, hidden_width
from lexitok.training.objectives.objective import Objective, Sums, document_ends, text_sums
from lexitok.training.objectives.teaching import (
    Teaching,
    make_teachers,
    make_trust,
    query_of,
    read_once,
    tokenisations_of,
)
from lexitok.training.own import Memory, OwnMaker
from lexitok.training.state import Fixed, SetupError, model_of
from lexitok.training.weighting import Weighting, make_weighting


def distillation(c: ConfigDict, encoder: Encoder) -> Objective:
    """The weighted sum of losses between the model and its teachers; each is a mean over what it compares in a batch.

    All models read a batch once, each in its own tokens, and the student is compared with each teacher by spans of the
    same bytes.

    Its sums: `weights` (the student's targets), `loss` (the weighted sum, times targets), each loss by its name, as
    `alm_loss`, times targets, and where weights follow gradients `alm_weight` and the norm `alm_gradient`, too; `nats`
    of text, `eot_nats` and `bytes` as of language modelling, `right`, and of the student's targets those in spans that
    are compared, `aligned`, and in spans of one target each, `one_to_one`; what the model has of its own, as
    `extra_loss`. What is of further teachers has their names in front, as `second_alm_loss`.

    Args:
      c: the section `objective`: `teacher`, a `lexitok.config.teacher` whose `units` count where it has units;
        `teachers`, further ones by name, each with a `weight`; `trust`, of `TRUST` in
        `lexitok.training.objectives.teaching`; `losses`, sections of `lexitok.distill.losses.LOSSES` by any name, each
        with a `weight`; `weighting`, of `lexitok.training.weighting`; `own_lr`, the rate of what losses learn beside
        the model, over the model's; and `chunk`.
      encoder: of the model's symbols.

    Raises:
      SetupError: there is no teacher, no loss, or a loss that refuses its settings or the vocabularies; when it is
        traced, a model that cannot be read once for several losses.
    """
    teachers = make_teachers(c)
    terms = _terms(c, encoder, teachers)
    weighting = _weighting(c.weighting, {term.name: term.weight for term in terms})
    trust = make_trust(c.trust)
    asks = any(term.loss.beginnings for term in terms)
    groups = [beginnings(each.vocabulary) if asks else None for each in (encoder, *(t.encoder for t in teachers))]
    ends = document_ends(encoder)
    fussy = dict.fromkeys(term.name for term in terms if term.loss.vocabularies)

    def objective(
        trained: Any, fixed: Fixed, batch: Batch, parameters: Any = None, memory: Memory | None = None
    ) -> tuple[Float[Array, ""], Sums]:
        group_of_V = groups[0]
        if isinstance(batch.vocabulary, Spelling):
            if fussy:
                raise SetupError(f"data.tokenizers 'drawn': {', '.join(fussy)} would look at each batch's vocabulary")
            group_of_V = beginnings_of_spelled(batch.vocabulary, teachers[0].encoder.vocabulary) if asks else None
        read = read_once(model_of(trained, fixed), batch)
        asked = [query_of(group_of_V, c.chunk) for group_of_V in groups[1:]]
        theirs = [teacher.side(fixed, batch, query) for teacher, query in zip(teachers, asked, strict=True)]
        query = query_of(group_of_V, c.chunk)

        def means(read: ReadBatch, parameters: Any) -> tuple[Float[Array, "n"], list[Pair]]:
            found = read.read_out(query)
            spans = (batch.others[teacher.place].alignment for teacher in teachers)
            ours = (Side(read.batch.tokens, found, each.of_first_BxS, each.spans, read) for each in spans)
            pairs = list(map(Pair, ours, theirs))
            each = [term.loss(pairs[term.teacher], (parameters or {}).get(term.name)).mean for term in terms]
            return jnp.stack(each), pairs

        norms_n = _norms(means, read, parameters) if weighting.norms else jnp.zeros(len(terms))
        weights_n = weighting.of(norms_n, memory or {}) * _of_terms(trust(theirs), terms)
        means_n, pairs = means(read, parameters)
        sums = text_sums(batch.tokens, pairs[0].student.found, ends(batch))
        for teacher, pair in zip(teachers, pairs, strict=True):
            sums |= {teacher.prefix + name: value for name, value in _aligned(pair).items()}
        targets = sums["weights"]
        sums |= _by_name(terms, "loss", means_n * targets)
        if weighting.norms or len(teachers) > 1:
            sums |= _by_name(terms, "weight", weights_n * targets)
        if weighting.norms:
            sums |= _by_name(terms, "gradient", norms_n * targets)
        sums |= {"loss": jnp.sum(weights_n * means_n) * targets, "extra_loss": read.extras.loss * targets}
        return sums["loss"] + sums["extra_loss"], sums | read.extras.sums

    read = {teacher.name: teacher.model for teacher in teachers if teacher.model.kept is None}
    return Objective(objective, tokenisations_of(teachers), read, _own(terms, weighting, teachers, c.own_lr))


@dataclasses.dataclass(frozen=True)
class _Term:
    """A loss between the student and the teacher of this number, by the name that it has in the log."""

    name: str
    teacher: int
    loss: Loss
    weight: float


def _terms(c: ConfigDict, encoder: Encoder, teachers: Sequence[Teaching]) -> list[_Term]:
    """All losses with a weight, with each teacher; those of the text alone once."""
    terms = []
    for number, teacher in enumerate(teachers):
        for name, section in c.losses.items():
            if not section.weight:
                continue
            loss = _loss(name, section, encoder, teacher.encoder)
            if teacher.model.kept is not None and loss.hidden:
                raise SetupError(
                    f"{teacher.model.key}.cache holds predictions, and {name} would look at the teacher's hidden states"
                )
            if loss.text and number:
                continue
            weight = section.weight * (1.0 if loss.text else teacher.weight)
            terms.append(_Term(teacher.prefix + name, number, loss, weight))
    if not terms:
        raise SetupError("objective.losses has no loss with a weight: name one, as in configs/distill.py")
    return terms


def _of_terms(of_teachers: Float[Array, "teachers"], terms: Sequence[_Term]) -> Float[Array, "n"]:
    """What is of teachers, of each term; of those of the text alone 1."""
    return jnp.stack([jnp.ones(()) if term.loss.text else of_teachers[term.teacher] for term in terms])


def _loss(name: str, section: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    try:
        return make_loss(section, student, teacher)
    except ValueError as error:
        raise SetupError(f"objective.losses.{name}: {error}") from error


def _weighting(c: ConfigDict, fixed: Mapping[str, float]) -> Weighting:
    try:
        return make_weighting(c, fixed)
    except ValueError as error:
        raise SetupError(f"objective.weighting: {error}") from error


def _norms(means: Any, read: ReadBatch, parameters: Any) -> Float[Array, "n"]:
    """Of the gradient of each loss by the student's hidden states; they are not differentiated again."""
    hidden_BxSxD, parameters = jax.lax.stop_gradient((read.hidden_BxSxD, parameters))
    bound = without_gradient(read.bound)

    def of(hidden_BxSxD: Float[Array, "B S D"]) -> Float[Array, "n"]:
        return means(dataclasses.replace(read, bound=bound, hidden_BxSxD=hidden_BxSxD), parameters)[0]

    by_hidden = jax.jacrev(of)(hidden_BxSxD)
    return jnp.sqrt(jnp.sum(jnp.square(by_hidden.astype(jnp.float32)), axis=(1, 2, 3)))


def _own(terms: Sequence[_Term], weighting: Weighting, teachers: Sequence[Teaching], factor: float) -> OwnMaker | None:
    """What the losses learn beside the model, and what their weights remember."""
    learning = {term.name: term for term in terms if term.loss.parameters is not None}
    if not learning and not weighting.memory:
        return None

    def parameters(rngs: nnx.Rngs, model: Any) -> dict[str, Any]:
        return {
            name: term.loss.parameters(rngs, hidden_width(model), hidden_width(teachers[term.teacher].model.abstract))
            for name, term in learning.items()
            if term.loss.parameters is not None
        }

    def remember(memory: Memory, sums: Mapping[str, Array]) -> Memory:
        if weighting.remember is None:
            return memory
        found = (_of_names(terms, kind, sums) / jnp.maximum(sums["weights"], 1.0) for kind in ("loss", "gradient"))
        return weighting.remember(memory, *found)

    return OwnMaker(parameters if learning else None, weighting.memory, remember, factor)


def _by_name(terms: Sequence[_Term], kind: str, values_n: Float[Array, "n"]) -> Sums:
    return {f"{term.name}_{kind}": value for term, value in zip(terms, values_n, strict=True)}


def _of_names(terms: Sequence[_Term], kind: str, sums: Mapping[str, Array]) -> Float[Array, "n"]:
    return jnp.stack([sums[f"{term.name}_{kind}"] for term in terms])


def _aligned(pair: Pair) -> Sums:
    """Of the student's targets, those in spans that are compared, and in spans of one target each."""
    return {
        "aligned": jnp.sum(jnp.where(pair.is_scored_BxK, pair.student.counts_BxK, 0.0)),
        "one_to_one": jnp.sum(pair.is_one_to_one_BxK).astype(jnp.float32),
    }
