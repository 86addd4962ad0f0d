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

from lexitok.data.encoders import Encoder, make_encoder, make_tokenizer, needs_tokenizer
from lexitok.data.sources import open_source
from lexitok.interfaces import pin
from lexitok.models.build import model_for
from lexitok.runs.checkpoints.files import VOCABULARY, RunRecord
from lexitok.sharding import check_rows, make_mesh
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.training import entropy, start
from lexitok.training.errors import SetupError
from lexitok.training.objective import language_modelling
from lexitok.training.optimizer import check_frozen, held, make_optimizer
from lexitok.training.schedules import make_schedule
from lexitok.training.state import MakeModel, TrainState, abstract_state, init_model, init_state
from lexitok.training.step import Objective, make_step

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Setup:
    """A run's parts.

    Attributes:
      config: the whole tree, with what its interface takes from outside.
      encoder: documents to symbols.
      make_model: makes the model from a stream of keys.
      optimizer: makes updates from gradients.
      schedule: its learning rate by step.
      objective: what is minimised.
      mesh: the devices.
      vocabulary: the bytes of the vocabulary's file; empty for byte models.
    """

    config: ConfigDict
    encoder: Encoder
    make_model: MakeModel
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    objective: Objective
    mesh: Mesh
    vocabulary: bytes

    def step(self):
        """The step, jitted; the state is donated, and the next one is split over the mesh as it was."""
        c = self.config
        frozen = tuple(c.optimizer.frozen)
        check_frozen(self.abstract_state.model, frozen)

        def objective(model, batch):
            return self.objective(held(model, frozen), batch)

        step = make_step(objective, self.optimizer, accumulate=c.optimizer.accumulate, ema=c.train.ema)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state)
        return jax.jit(step, donate_argnums=0, out_shardings=(shardings, NamedSharding(self.mesh, PartitionSpec())))

    @functools.cached_property
    def abstract_state(self) -> TrainState:
        """Shapes and shardings of the state."""
        return abstract_state(self.make_model, self.optimizer, self.mesh, ema=self.config.train.ema)

    def init_state(self) -> TrainState:
        """A fresh state; parameters that are those of other runs are read from there.

        Raises:
          SetupError: such a run is not named, or does not fit.
        """
        c = self.config
        state = init_state(self.make_model, self.optimizer, self.abstract_state, c.seed, ema=c.train.ema)
        return start.install(entropy.install(state, c, self.encoder), c, self.encoder)

    def init_model(self) -> Any:
        """A fresh model, as training would begin with if it took nothing from other runs."""
        return init_model(self.make_model, self.abstract_state.model, self.config.seed)

    def record(self) -> RunRecord:
        """What a checkpoint has to say of itself."""
        return RunRecord(self.config, self.vocabulary, {"jax": jax.__version__})


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
        setup.abstract_state  # noqa: B018  what is wrong with a model's settings shows when it is traced
        return setup
    except ValueError as error:
        if type(error) is not ValueError:  # has a name of its own already
            raise
        raise SetupError(str(error)) from error


def _make_setup(config: ConfigDict, workdir: Path | None, devices) -> Setup:
    config = config.copy_and_resolve_references()
    pin(config.model.interface)
    mesh = make_mesh(**config.mesh, devices=devices)
    check_rows(mesh, config.data.rows)
    micro, ways = config.optimizer.accumulate, mesh.shape["data"] * mesh.shape["fsdp"]
    if config.data.rows % (micro * ways):
        raise SetupError(
            f"data.rows={config.data.rows} cannot be cut into optimizer.accumulate={micro} micro-batches of rows for "
            f"data x fsdp = {ways} devices"
        )
    encoder, vocabulary = _make_encoder(config, workdir)
    symbols = config.data.rows * config.data.symbols
    return Setup(
        config=config,
        encoder=encoder,
        make_model=model_for(config, encoder),
        optimizer=make_optimizer(config.optimizer, config.train.steps, symbols),
        schedule=make_schedule(config.optimizer, config.train.steps, symbols),
        objective=functools.partial(
            language_modelling,
            eot=encoder.vocabulary.eot,
            z_loss=config.train.z_loss,
            chunk=config.train.loss_chunk,
        ),
        mesh=mesh,
        vocabulary=vocabulary,
    )


def _make_encoder(config: ConfigDict, workdir: Path | None) -> tuple[Encoder, bytes]:
    if not needs_tokenizer(config.text):
        return make_encoder(config.text), b""
    kept = None if workdir is None else workdir / VOCABULARY
    if kept is not None and kept.exists():
        tokenizer = load_tokenizer(kept)
    else:
        tokenizer = make_tokenizer(config.text.vocabulary, _training_text(config))
    return make_encoder(config.text, tokenizer), tokenizer.to_bytes()


def _training_text(config: ConfigDict):
    data = config.data
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    return (document.data for document in corpus.documents(config.text.vocabulary.train_bytes))
