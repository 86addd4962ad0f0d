"""What a run is made of, from its config: encoder, model, optimizer, objective, mesh."""

import dataclasses
import functools
import logging
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from lexitok.data.drawn import make_drawing
from lexitok.data.encoders import Encoder, make_encoder, make_tokenizer, needs_tokenizer
from lexitok.data.pipeline import TOKENIZERS
from lexitok.data.sources import has_chats, open_source
from lexitok.hub.chat_template import template_at
from lexitok.hub.stored_tensors import HubError
from lexitok.interfaces import pin
from lexitok.made import with_made
from lexitok.models.build import model_for
from lexitok.runs.checkpoints.files import VOCABULARY, RunRecord
from lexitok.runs.origin import Origin
from lexitok.runs.parameters import located
from lexitok.sharding import check_rows, make_mesh
from lexitok.text.chats import without_marks
from lexitok.text.tokenizer_files import load_tokenizer, tokenizer_from_bytes
from lexitok.training import starts
from lexitok.training.objectives import Objective, make_objective
from lexitok.training.optimizer import make_optimizer
from lexitok.training.processes import check_same, from_first
from lexitok.training.schedules import make_schedule
from lexitok.training.state import SetupError, StateMaker, TrainState
from lexitok.training.step import make_step
from lexitok.training.trained_rows import trained_rows

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Setup:
    """A run's parts.

    Attributes:
      config: the whole tree, with what its interface takes from outside.
      encoder: documents to symbols.
      states: makes the model and the rest of the state.
      schedule: the learning rate by step.
      objective: what is minimised.
      mesh: the devices.
      vocabulary: the bytes of the vocabulary's file; empty for byte models.
    """

    config: ConfigDict
    encoder: Encoder
    states: StateMaker
    schedule: optax.Schedule
    objective: Objective
    mesh: Mesh
    vocabulary: bytes

    def step(self):
        """The step, jitted; the state is donated, and the next one is split over the mesh as it was."""
        c = self.config
        step = make_step(self.objective, self.states.optimizer, accumulate=c.optimizer.accumulate, ema=c.train.ema)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state)
        return jax.jit(step, donate_argnums=0, out_shardings=(shardings, NamedSharding(self.mesh, PartitionSpec())))

    @functools.cached_property
    def abstract_state(self) -> TrainState:
        """Shapes and shardings of the state."""
        return self.states.abstract(self.mesh)

    def init_state(self) -> TrainState:
        """A fresh state; parameters that are those of other runs are read from there.

        Raises:
          SetupError: such a run is not named, or does not fit.
        """
        return self.init_state_and_origins()[0]

    def init_state_and_origins(self) -> tuple[TrainState, tuple[Origin, ...]]:
        """As `init_state`; and where the fixed parts of the state are from."""
        fresh = self.states.init(self.abstract_state, self.config.seed)
        return starts.install(fresh, self.config, self.encoder, self.objective.teachers)

    def with_made(self, state: TrainState) -> TrainState:
        """A state out of a checkpoint, with what its models have that is made and that no checkpoint holds."""
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        model = with_made(state.fixed["model"], self.states.make_model, everywhere)
        teachers = {name: t.with_made(state.fixed[name]) for name, t in self.objective.teachers.items()}
        return dataclasses.replace(state, fixed=state.fixed | {"model": model} | teachers)

    def init_model(self) -> Any:
        """A fresh model, as training would begin with if it took nothing from other runs."""
        return self.states.init_model(self.abstract_state, self.config.seed)

    def record(self, fixed: tuple[Origin, ...] = ()) -> RunRecord:
        """What a checkpoint has to say of itself; `fixed`: where the fixed parts of its model are from."""
        return RunRecord(self.config, self.vocabulary, {"jax": jax.__version__}, fixed)


def make_setup(config: ConfigDict, workdir: Path | None = None, *, devices=None) -> Setup:
    """The parts of the run that `config` describes.

    Args:
      config: the whole tree.
      workdir: of the run, whose vocabulary is taken where it has one; nothing is written there.
      devices: of the mesh; None: all.

    Raises:
      SetupError, MeshError: settings that do not exist or do not go together.
    """
    try:
        setup = _make_setup(config, workdir, devices)
        state = setup.abstract_state  # what is wrong with a model's settings shows when it is traced
        for teacher in setup.objective.teachers.values():
            teacher.check(state.fixed, state.trained)
        return setup
    except ValueError as error:
        if type(error) is not ValueError:  # has a name of its own already
            raise
        raise SetupError(str(error)) from error


def _make_setup(config: ConfigDict, workdir: Path | None, devices) -> Setup:
    config = config.copy_and_resolve_references()
    pin(config.model.interface)
    _take_source(config)
    if config.text.chat.template:  # the run's record has the template, not where it was
        config.text.chat.template = _template(config)
    mesh = make_mesh(**config.mesh, devices=devices)
    check_rows(mesh, config.data.rows)
    micro, ways = config.optimizer.accumulate, mesh.shape["data"] * mesh.shape["fsdp"]
    if config.data.rows % (micro * ways):
        raise SetupError(
            f"data.rows={config.data.rows} cannot be cut into optimizer.accumulate={micro} micro-batches of rows for "
            f"data x fsdp = {ways} devices"
        )
    encoder, vocabulary = _make_encoder(config, workdir)
    objective = make_objective(config.objective, encoder)
    _check_tokenizers(config, objective)
    _check_chats(config, encoder, objective)
    symbols = config.data.rows * config.data.symbols
    start = config.train.start.run
    if start and workdir is not None:  # both may have moved since the run began
        start = str(located(start, workdir) or start)
    rows = trained_rows(config.optimizer.rows, start, encoder.vocabulary.size)
    if rows is not None:
        check_same("optimizer.rows", rows.tobytes().hex())
    return Setup(
        config=config,
        encoder=encoder,
        states=StateMaker(
            model_for(config, encoder),
            make_optimizer(config.optimizer, config.train.steps, symbols),
            tuple(config.optimizer.frozen),
            config.optimizer.frozen_dtype,
            config.train.ema,
            rows,
            {name: teacher.held for name, teacher in objective.teachers.items()},
            objective.own,
        ),
        schedule=make_schedule(config.optimizer, config.train.steps, symbols),
        objective=objective,
        mesh=mesh,
        vocabulary=vocabulary,
    )


def _template(config: ConfigDict) -> str:
    try:
        return template_at(config.text.chat.template)
    except HubError as error:
        raise SetupError(f"text.chat.template: {error}") from error


def _take_source(config: ConfigDict) -> None:
    """Drawn vocabularies are spelled in the tokens that a hypernetwork makes its rows of, unless others are named.

    Raises:
      SetupError: others are named.
    """
    interface, drawn = config.model.interface, config.data.drawn
    if config.data.tokenizers != "drawn" or interface.kind != "hypernetwork":
        return
    drawn.source = drawn.source or interface.vocabulary
    tokens = load_tokenizer(drawn.source).vocabulary.fingerprint if drawn.source else ""
    if tokens != interface.vocabulary_fingerprint:
        raise SetupError(
            f"data.drawn.source is {drawn.source!r}, and model.interface makes rows of the tokens of "
            f"{interface.vocabulary!r}: leave the first one empty"
        )


def _check_tokenizers(config: ConfigDict, objective: Objective) -> None:
    """Raises a ValueError unless batches can be under the tokenizers that are asked for.

    Whether the model's interface makes vectors of their tokens shows when a batch is bound to it.
    """
    if config.data.tokenizers not in TOKENIZERS:
        raise SetupError(f"data.tokenizers is '{config.data.tokenizers}'; there are {', '.join(TOKENIZERS)}")
    if config.data.parts and (config.data.tokenizers != "own" or objective.tokenisations):
        raise SetupError("data.parts needs data.tokenizers 'own', and an objective of one tokenisation")
    if config.data.tokenizers == "own":
        return
    if config.text.kind != "subword":
        raise SetupError(f"data.tokenizers 'drawn' needs text.kind 'subword', not '{config.text.kind}'")
    make_drawing(config.data.drawn)
    for other in objective.tokenisations:
        if other.kept is not None:
            raise SetupError(
                "objective.teacher.cache is of whole documents; data.tokenizers 'drawn' reads parts of them"
            )
        spells = load_tokenizer(config.data.drawn.source).vocabulary.fingerprint
        if spells != other.encoder.vocabulary.fingerprint:
            raise SetupError(
                "with data.tokenizers 'drawn' another tokenisation, as a teacher's, has to be that of "
                f"data.drawn.source, in whose tokens the drawn ones are spelled: {config.data.drawn.source} is another"
            )


def _check_chats(config: ConfigDict, encoder: Encoder, objective: Objective) -> None:
    """Raises a SetupError unless whoever reads a source of chats does so under a template."""
    if not has_chats(config.data.source):
        return
    if config.data.tokenizers == "drawn":
        raise SetupError("data.tokenizers 'drawn' reads no chats: they have no template")
    if not hasattr(encoder, "chat"):
        raise SetupError("data.source has chats: name the template that they are read under in text.chat.template")
    if not all(hasattr(other.encoder, "chat") for other in objective.tokenisations):
        raise SetupError("data.source has chats: name the teacher's template in objective.teacher.template")


def _make_encoder(config: ConfigDict, workdir: Path | None) -> tuple[Encoder, bytes]:
    if not needs_tokenizer(config.text):
        return make_encoder(config.text), b""
    first = jax.process_index() == 0  # it makes the tokenizer, and the others take it over
    made = _vocabulary(config, workdir) if first else None
    vocabulary = from_first(made)
    tokenizer = tokenizer_from_bytes(vocabulary)
    check_same("the vocabulary", tokenizer.vocabulary.fingerprint)
    return make_encoder(config.text, tokenizer), vocabulary


def _vocabulary(config: ConfigDict, workdir: Path | None) -> bytes:
    """The file of the run's vocabulary: the one that the run keeps, or a new one."""
    if workdir is not None and (workdir / VOCABULARY).exists():
        return (workdir / VOCABULARY).read_bytes()
    return make_tokenizer(config.text.vocabulary, _training_text(config)).to_bytes()


def _training_text(config: ConfigDict):
    data = config.data
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    return (without_marks(document.data) for document in corpus.documents(config.text.vocabulary.train_bytes))
