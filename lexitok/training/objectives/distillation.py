"""Distillation from a teacher that reads the same bytes in other tokens: losses of `lexitok.distill`, weighted."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Tokenisation
from lexitok.data.encoders import Encoder
from lexitok.distill.beginnings import beginnings
from lexitok.distill.losses import Loss, make_loss
from lexitok.distill.pair import Pair, Side
from lexitok.models.read_batch import ReadBatch
from lexitok.ops.read_out import Query
from lexitok.training.objectives.objective import Objective, Sums, text_sums
from lexitok.training.state import Fixed, SetupError, model_of
from lexitok.training.teachers import open_teacher

_TEACHER = "teacher"


def distillation(c: ConfigDict, encoder: Encoder) -> Objective:
    """The weighted sum of losses between the model and a teacher; each is a mean over what it compares in a batch.

    Both models read a batch once, each in its own tokens, and are compared by spans of the same bytes.

    Its sums: `weights` (the student's targets), `loss` (the weighted sum, times targets), each loss by its name, as
    `alm_loss`, times targets, `nats` of text, `eot_nats` and `bytes` as of language modelling, `right`, and of the
    student's targets those in spans that are compared, `aligned`, and in spans of one target each, `one_to_one`; what
    the model has of its own, as `extra_loss`.

    Args:
      c: the section `objective`: `teacher`, a `lexitok.config.teacher` whose `units` count where it has units;
        `losses`, sections of `lexitok.distill.losses.LOSSES` by any name, each with a `weight`; and `chunk`.
      encoder: of the model's symbols.

    Raises:
      SetupError: there is no teacher, no loss, or a loss that refuses its settings or the vocabularies; when it is
        traced, a model that cannot be read once for several losses.
    """
    teacher = open_teacher(c.teacher, f"objective.{_TEACHER}")
    vocabularies = encoder.vocabulary, teacher.encoder.vocabulary
    sections = {name: section for name, section in c.losses.items() if section.weight}
    losses = {name: _loss(name, section, encoder, teacher.encoder) for name, section in sections.items()}
    if not losses:
        raise SetupError("objective.losses has no loss with a weight: name one, as in configs/distill.py")
    weights = {name: section.weight for name, section in sections.items()}
    asks = any(loss.beginnings for loss in losses.values())
    groups = [beginnings(vocabulary) if asks else None for vocabulary in vocabularies]
    eot = encoder.vocabulary.eot

    def objective(trained: Any, fixed: Fixed, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        queries = [_query(group, c.chunk) for group in groups]
        read = _read(model_of(trained, fixed), batch)
        taught = _read(teacher.model(fixed, _TEACHER), Batch(batch.second, batch.seeds_B))
        taught = dataclasses.replace(taught, hidden_BxSxD=jax.lax.stop_gradient(taught.hidden_BxSxD))
        alignment = batch.alignment
        student = Side(read, read.read_out(queries[0]), alignment.of_first_BxS, alignment.spans)
        theirs = jax.lax.stop_gradient(taught.read_out(queries[1]))
        pair = Pair(student, Side(taught, theirs, alignment.of_second_BxT, alignment.spans))
        means = {name: loss.compare(pair).mean for name, loss in losses.items()}
        sums = text_sums(batch.tokens, student.found, batch.tokens.targets_BxS == eot) | _aligned(pair)
        total = sum(weights[name] * mean for name, mean in means.items()) * sums["weights"]
        sums |= {f"{name}_loss": mean * sums["weights"] for name, mean in means.items()} | {"loss": total}
        sums["extra_loss"] = read.extras.loss * sums["weights"]
        return total + sums["extra_loss"], sums | read.extras.sums

    second = Tokenisation(teacher.encoder, c.teacher.symbols, c.teacher.units)
    return Objective(objective, second, {_TEACHER: teacher})


def _loss(name: str, section: ConfigDict, student: Encoder, teacher: Encoder) -> Loss:
    try:
        return make_loss(section, student, teacher)
    except ValueError as error:
        raise SetupError(f"objective.losses.{name}: {error}") from error


def _query(group_of_V: np.ndarray | None, chunk: int) -> Query:
    return (
        Query(chunk=chunk) if group_of_V is None else Query(group_of_V=jnp.asarray(group_of_V), groups=2, chunk=chunk)
    )


def _read(model: Any, batch: Batch) -> ReadBatch:
    if not hasattr(model, "read"):
        raise SetupError(
            f"a {type(model).__name__} has no `read`: losses between models ask more of it than `read_out`"
        )
    return model.read(batch)


def _aligned(pair: Pair) -> Sums:
    """Of the student's targets, those in spans that are compared, and in spans of one target each."""
    return {
        "aligned": jnp.sum(jnp.where(pair.is_scored_BxK, pair.student.counts_BxK, 0.0)),
        "one_to_one": jnp.sum(pair.is_one_to_one_BxK).astype(jnp.float32),
    }
