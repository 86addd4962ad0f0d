"""Distillation from a teacher that reads the same bytes in other tokens: losses of `lexitok.distill`, weighted."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Tokenisation
from lexitok.data.encoders import Encoder
from lexitok.data.spelling import Spelling
from lexitok.distill.beginnings import beginnings, beginnings_of_spelled
from lexitok.distill.losses import Loss, make_loss
from lexitok.distill.pair import Pair, Side
from lexitok.interfaces.bound import without_gradient
from lexitok.models.read_batch import ReadBatch, hidden_width
from lexitok.ops.read_out import Query
from lexitok.training.objectives.objective import Objective, Sums, document_ends, text_sums
from lexitok.training.own import Memory, OwnMaker
from lexitok.training.state import Fixed, SetupError, model_of
from lexitok.training.teachers import TEACHER, Teacher, open_teacher
from lexitok.training.weighting import Weighting, make_weighting


def distillation(c: ConfigDict, encoder: Encoder) -> Objective:
    """The weighted sum of losses between the model and a teacher; each is a mean over what it compares in a batch.

    Both models read a batch once, each in its own tokens, and are compared by spans of the same bytes.

    Its sums: `weights` (the student's targets), `loss` (the weighted sum, times targets), each loss by its name, as
    `alm_loss`, times targets, and where weights follow gradients `alm_weight` and the norm `alm_gradient`, too; `nats`
    of text, `eot_nats` and `bytes` as of language modelling, `right`, and of the student's targets those in spans that
    are compared, `aligned`, and in spans of one target each, `one_to_one`; what the model has of its own, as
    `extra_loss`.

    Args:
      c: the section `objective`: `teacher`, a `lexitok.config.teacher` whose `units` count where it has units;
        `losses`, sections of `lexitok.distill.losses.LOSSES` by any name, each with a `weight`; `weighting`, of
        `lexitok.training.weighting`; `own_lr`, the rate of what losses learn beside the model, over the model's; and
        `chunk`.
      encoder: of the model's symbols.

    Raises:
      SetupError: there is no teacher, no loss, or a loss that refuses its settings or the vocabularies; when it is
        traced, a model that cannot be read once for several losses.
    """
    teacher = open_teacher(c.teacher, f"objective.{TEACHER}")
    vocabularies = encoder.vocabulary, teacher.encoder.vocabulary
    sections = {name: section for name, section in c.losses.items() if section.weight}
    losses = {name: _loss(name, section, encoder, teacher.encoder) for name, section in sections.items()}
    if not losses:
        raise SetupError("objective.losses has no loss with a weight: name one, as in configs/distill.py")
    weighting = _weighting(c.weighting, {name: section.weight for name, section in sections.items()})
    asks = any(loss.beginnings for loss in losses.values())
    groups = [beginnings(vocabulary) if asks else None for vocabulary in vocabularies]
    ends = document_ends(encoder)
    fussy = [name for name, loss in losses.items() if loss.vocabularies]
    _check_kept(teacher, losses)

    def objective(
        trained: Any, fixed: Fixed, batch: Batch, parameters: Any = None, memory: Memory | None = None
    ) -> tuple[Float[Array, ""], Sums]:
        group_of_V = groups[0]
        if isinstance(batch.vocabulary, Spelling):
            if fussy:
                raise SetupError(f"data.tokenizers 'drawn': {', '.join(fussy)} would look at each batch's vocabulary")
            group_of_V = beginnings_of_spelled(batch.vocabulary, vocabularies[1]) if asks else None
        read = _read(model_of(trained, fixed), batch)
        theirs = _taught(teacher, fixed, batch, _query(groups[1], c.chunk))
        query = _query(group_of_V, c.chunk)

        def means(read: ReadBatch, parameters: Any) -> tuple[Float[Array, "n"], Pair]:
            alignment = batch.alignment
            pair = Pair(Side.of_model(read, query, alignment.of_first_BxS, alignment.spans), theirs)
            found = [loss(pair, (parameters or {}).get(name)).mean for name, loss in losses.items()]
            return jnp.stack(found), pair

        norms_n = _norms(means, read, parameters) if weighting.norms else jnp.zeros(len(losses))
        weights_n = weighting.of(norms_n, memory or {})
        means_n, pair = means(read, parameters)
        sums = text_sums(batch.tokens, pair.student.found, ends(batch)) | _aligned(pair)
        targets = sums["weights"]
        sums |= _by_name(losses, "loss", means_n * targets)
        if weighting.norms:
            sums |= _by_name(losses, "weight", weights_n * targets) | _by_name(losses, "gradient", norms_n * targets)
        sums |= {"loss": jnp.sum(weights_n * means_n) * targets, "extra_loss": read.extras.loss * targets}
        return sums["loss"] + sums["extra_loss"], sums | read.extras.sums

    second = Tokenisation(teacher.encoder, c.teacher.symbols, c.teacher.units, teacher.kept)
    teachers = {TEACHER: teacher} if teacher.kept is None else {}
    return Objective(objective, second, teachers, _own(losses, weighting, teacher, c.own_lr))


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


def _query(group_of_V: Any, chunk: int) -> Query:
    """Of the targets, and of the masses of both groups where there are any."""
    if group_of_V is None:
        return Query(chunk=chunk)
    return Query(group_of_V=jnp.asarray(group_of_V), groups=2, chunk=chunk)


def _read(model: Any, batch: Batch) -> ReadBatch:
    if not hasattr(model, "read"):
        raise SetupError(
            f"a {type(model).__name__} has no `read`: losses between models ask more of it than `read_out`"
        )
    return model.read(batch)


def _taught(teacher: Teacher, fixed: Fixed, batch: Batch, query: Query) -> Side:
    """The teacher's side of a batch, without gradients."""
    if teacher.kept is not None:
        return Side.of_predictions(batch.second, batch.predictions, teacher.encoder.vocabulary.size, batch.alignment)
    read = _read(teacher.model(fixed, TEACHER), Batch(batch.second, batch.seeds_B))
    read = dataclasses.replace(read, hidden_BxSxD=jax.lax.stop_gradient(read.hidden_BxSxD))
    side = Side.of_model(read, query, batch.alignment.of_second_BxT, batch.alignment.spans)
    return dataclasses.replace(side, found=jax.lax.stop_gradient(side.found))


def _check_kept(teacher: Teacher, losses: Mapping[str, Loss]) -> None:
    """Raises a SetupError if losses look into a teacher of which there are kept predictions alone."""
    looking = [name for name, loss in losses.items() if loss.hidden]
    if teacher.kept is not None and looking:
        raise SetupError(
            f"{teacher.key}.cache holds predictions, and {', '.join(looking)} would look at the teacher's hidden states"
        )


def _norms(means: Any, read: ReadBatch, parameters: Any) -> Float[Array, "n"]:
    """Of the gradient of each loss by the student's hidden states; they are not differentiated again."""
    hidden_BxSxD, parameters = jax.lax.stop_gradient((read.hidden_BxSxD, parameters))
    bound = without_gradient(read.bound)

    def of(hidden_BxSxD: Float[Array, "B S D"]) -> Float[Array, "n"]:
        return means(dataclasses.replace(read, bound=bound, hidden_BxSxD=hidden_BxSxD), parameters)[0]

    by_hidden = jax.jacrev(of)(hidden_BxSxD)
    return jnp.sqrt(jnp.sum(jnp.square(by_hidden.astype(jnp.float32)), axis=(1, 2, 3)))


def _own(losses: Mapping[str, Loss], weighting: Weighting, teacher: Teacher, factor: float) -> OwnMaker | None:
    """What the losses learn beside the model, and what their weights remember."""
    learning = {name: loss.parameters for name, loss in losses.items() if loss.parameters is not None}
    if not learning and not weighting.memory:
        return None

    def parameters(rngs: nnx.Rngs, model: Any) -> dict[str, Any]:
        widths = hidden_width(model), hidden_width(teacher.abstract)
        return {name: make(rngs, *widths) for name, make in learning.items()}

    def remember(memory: Memory, sums: Mapping[str, Array]) -> Memory:
        if weighting.remember is None:
            return memory
        found = (_of_names(losses, kind, sums) / jnp.maximum(sums["weights"], 1.0) for kind in ("loss", "gradient"))
        return weighting.remember(memory, *found)

    return OwnMaker(parameters if learning else None, weighting.memory, remember, factor)


def _by_name(names: Mapping[str, Loss], kind: str, values_n: Float[Array, "n"]) -> Sums:
    return {f"{name}_{kind}": value for name, value in zip(names, values_n, strict=True)}


def _of_names(names: Mapping[str, Loss], kind: str, sums: Mapping[str, Array]) -> Float[Array, "n"]:
    return jnp.stack([sums[f"{name}_{kind}"] for name in names])


def _aligned(pair: Pair) -> Sums:
    """Of the student's targets, those in spans that are compared, and in spans of one target each."""
    return {
        "aligned": jnp.sum(jnp.where(pair.is_scored_BxK, pair.student.counts_BxK, 0.0)),
        "one_to_one": jnp.sum(pair.is_one_to_one_BxK).astype(jnp.float32),
    }
