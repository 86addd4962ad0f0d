"""The teachers of a student: which of a batch's tokenisations each reads, what it says of them, and how it counts."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Tokenisation
from lexitok.data.encoders import Encoder
from lexitok.distill.pair import Side
from lexitok.models.read_batch import ReadBatch
from lexitok.ops.read_out import Query
from lexitok.training.state import Fixed, SetupError
from lexitok.training.teachers import TEACHER, Teacher, open_teacher


@dataclasses.dataclass(frozen=True)
class Teaching:
    """A teacher, as an objective has it.

    Attributes:
      name: that it has in what is fixed.
      model: the teacher.
      tokenisation: that it reads.
      place: of this among a batch's other tokenisations.
      weight: of its losses.
      prefix: of the names of what is measured with it.
    """

    name: str
    model: Teacher
    tokenisation: Tokenisation
    place: int
    weight: float
    prefix: str

    @property
    def encoder(self) -> Encoder:
        return self.model.encoder

    def side(self, fixed: Fixed, batch: Batch, query: Query) -> Side:
        """Its side of a batch, without gradients."""
        other = batch.others[self.place]
        if self.model.kept is not None:
            return Side.of_predictions(other, self.encoder.vocabulary.size)
        read = read_once(self.model.model(fixed, self.name), Batch(other.tokens, batch.seeds_B))
        read = dataclasses.replace(read, hidden_BxSxD=jax.lax.stop_gradient(read.hidden_BxSxD))
        side = Side.of_model(read, query, other.alignment.of_second_BxT, other.alignment.spans)
        return dataclasses.replace(side, found=jax.lax.stop_gradient(side.found))


def make_teachers(c: ConfigDict) -> list[Teaching]:
    """The teachers of a `lexitok.config.distillation` section, the first in front; equal tokenisations are one.

    Raises:
      SetupError: as `open_teacher`, or predictions are kept of more than one.
    """
    sections = {"": (f"objective.{TEACHER}", c.teacher, 1.0)}
    sections |= {f"{name}_": (f"objective.teachers.{name}", part, part.weight) for name, part in c.teachers.items()}
    found: list[Teaching] = []
    places: list[dict[str, Any]] = []
    for prefix, (key, section, weight) in sections.items():
        model = open_teacher(section, key)
        tokenisation = Tokenisation(model.encoder, section.symbols, section.units, model.kept)
        if tokenisation.described not in places:
            places.append(tokenisation.described)
        place = places.index(tokenisation.described)
        found.append(Teaching(f"{prefix}{TEACHER}", model, tokenisation, place, weight, prefix))
    kept = [teacher.model.key for teacher in found if teacher.model.kept is not None]
    if len(kept) > 1:
        raise SetupError(f"documents have one teacher's kept predictions: set {kept[0]}.cache or {kept[1]}.cache")
    return found


def tokenisations_of(teachers: Sequence[Teaching]) -> tuple[Tokenisation, ...]:
    """What batches have to hold beside the student's own, by `place`."""
    return tuple({teacher.place: teacher.tokenisation for teacher in teachers}.values())


def _equal(sides: Sequence[Side]) -> Float[Array, "teachers"]:
    return jnp.ones(len(sides))


def _by_likelihood(sides: Sequence[Side]) -> Float[Array, "teachers"]:
    """The softmax of how many nats less each teacher has for a byte of the batch, times the number of teachers."""

    def nats(side: Side) -> Float[Array, ""]:
        scored = side.tokens.weights_BxS
        total = jnp.sum(jnp.where(scored > 0, side.tokens.bytes_BxS, 0)).astype(jnp.float32)
        return jnp.sum(scored * side.found.nll_BxS) / jnp.maximum(total, 1.0)

    return len(sides) * jax.nn.softmax(-jnp.stack(list(map(nats, sides))))


TRUST: dict[str, Callable[[Sequence[Side]], Float[Array, "teachers"]]] = {
    "equal": _equal,
    "likelihood": _by_likelihood,
}


def make_trust(name: str) -> Callable[[Sequence[Side]], Float[Array, "teachers"]]:
    """The function of this name from what teachers say of a batch to how each counts. Raises SetupError without one."""
    if name not in TRUST:
        raise SetupError(f"unknown objective.trust '{name}'; there are {', '.join(TRUST)}")
    return TRUST[name]


def query_of(group_of_V: Any, chunk: int) -> Query:
    """Of the targets, and of the masses of both groups where there are any."""
    if group_of_V is None:
        return Query(chunk=chunk)
    return Query(group_of_V=jnp.asarray(group_of_V), groups=2, chunk=chunk)


def read_once(model: Any, batch: Batch) -> ReadBatch:
    """What a model makes of a batch, for several losses. Raises SetupError where it cannot be read so."""
    if not hasattr(model, "read"):
        raise SetupError(
            f"a {type(model).__name__} has no `read`: losses between models ask more of it than `read_out`"
        )
    return model.read(batch)
