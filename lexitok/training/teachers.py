"""Models of other runs that an objective reads, as a teacher's: where they are from, and how a train state holds them.

A section of the objective names the run (`lexitok.config.teacher`), the objective opens it (`open_teacher`) and says so
(`Objective.teachers`). The state then has the model among what is fixed: no gradient, no moments, no average, and in a
checkpoint where it is from in place of its arrays.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from lexitok.data.chat_encoders import LEARNT
from lexitok.data.encoders import Encoder
from lexitok.data.predictions import KeptPredictions, open_predictions
from lexitok.hub.chat_template import template_at
from lexitok.hub.stored_tensors import HubError
from lexitok.made import is_made, with_made
from lexitok.models.build import evaluated, model_for
from lexitok.nn.dtypes import DTYPES
from lexitok.parameter_names import map_with_name, names, to_dicts
from lexitok.runs.checkpoints.files import RunRecord, saved_steps, step_folder
from lexitok.runs.checkpoints.reading import read_record
from lexitok.runs.load import encoder_of
from lexitok.runs.origin import Origin
from lexitok.runs.parameters import fingerprint, is_in, part_of, read_parameters
from lexitok.sharding import replicated
from lexitok.training.state import Fixed, SetupError, rounded

TEACHER = "teacher"  # its name in the section `objective`, and in what is fixed


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A model that is only read.

    Attributes:
      key: the setting that names its run, for errors.
      record: of its run.
      run: directory of the run.
      encoder: of its symbols.
      dtype: of its matrices and tables, `float32` or `bfloat16`.
      shares: parts, by name, that are not held for it: the model that is trained has the same ones, frozen.
      kept: what it has predicted, which is read in its place; None: the model itself is read.
    """

    key: str
    record: RunRecord
    run: str
    encoder: Encoder
    dtype: str = "float32"
    shares: tuple[str, ...] = ()
    kept: KeptPredictions | None = None

    def make(self, rngs: nnx.Rngs) -> Any:
        """A fresh model of its kind."""
        return evaluated(model_for(self.record.config, self.encoder)(rngs))

    @property
    def abstract(self) -> Any:
        """Shapes of the whole model."""
        return jax.eval_shape(lambda key: rounded(self.make(nnx.Rngs(params=key)), self.dtype), jax.random.key(0))

    @property
    def held(self) -> Any:
        """Shapes of what a state holds of it; None in place of what it shares."""
        return map_with_name(lambda name, x: None if self._is_shared(name) else x, self.abstract)

    def model(self, fixed: Fixed, name: str) -> Any:
        """The whole model, out of what is fixed in a state."""
        leaves = names(to_dicts(fixed["model"])) | names(to_dicts(fixed[name]))
        return map_with_name(lambda part, _: leaves[part], self.abstract)

    def check(self, fixed: Fixed, trained: Any) -> None:
        """Checks that a state, which may be of shapes, has what the teacher shares with its model, and fixed.

        Raises:
          SetupError: a part that is shared is trained, not there, or of another shape; names it.
        """
        here, moving = names(to_dicts(fixed["model"])), names(to_dicts(trained))
        for part in self.shares:
            inside = {name: x for name, x in names(to_dicts(self.abstract)).items() if is_in(part, name)}
            wrong = [name for name, x in inside.items() if name in moving or not _alike(x, here.get(name))]
            if wrong or not inside:
                raise SetupError(
                    f"{self.key}.shares: '{part}' is not the same fixed part in the teacher and in the model: "
                    f"{wrong[0] if wrong else 'the teacher has none'}. Freeze it (optimizer.frozen), or leave it out"
                )

    def install(self, held: Any, name: str, origins: tuple[Origin, ...]) -> tuple[Any, tuple[Origin, ...]]:
        """What a state holds of it, with the parameters of its run, and where these are from.

        Args:
          held: the arrays that the state has in their place.
          name: that they have there.
          origins: of the fixed parts of the model that is trained.

        Raises:
          SetupError: the run's parameters are not those of its config's model, or what is to be shared is another.
          CheckpointError: it has no checkpoint that can be read.
        """
        checkpoint = read_parameters(self.run)
        wanted = {name: x.shape for name, x in names(to_dicts(self.abstract)).items() if not is_made(name)}
        if wanted != {name: x.shape for name, x in checkpoint.parameters.items()}:
            raise SetupError(f"{self.key}: {self.run} does not hold the parameters of its config's model")
        for part in self.shares:
            theirs = fingerprint(part_of(checkpoint.parameters, part, part))
            if (part, theirs) not in [(origin.at, origin.fingerprint) for origin in origins if origin.of == "model"]:
                raise SetupError(
                    f"{self.key}.shares: '{part}' of {self.run} is not that which this run begins with: leave it out"
                )
        taken = {name: x for name, x in checkpoint.parameters.items() if not self._is_shared(name)}

        def put(name: str, leaf: Any) -> Any:
            if is_made(name):
                return leaf
            return jax.device_put(jnp.array(taken[name], leaf.dtype, copy=True), leaf.sharding, may_alias=False)

        parts = ((at, part_of(taken, at, at)) for at in self._parts(taken))
        own = tuple(Origin(at, self.run, at, checkpoint.step, fingerprint(x), name) for at, x in parts)
        return self.with_made(map_with_name(put, held)), own

    def with_made(self, held: Any) -> Any:
        """What a state holds of it, with what is made and in no checkpoint."""
        return with_made(held, self.make, replicated())

    def _parts(self, held: Mapping[str, Any]) -> Iterable[str]:
        """The largest parts of the model in which nothing is shared; empty: the whole."""
        if not self.shares:
            return ("",)
        tops = {name: name.split(".")[0] for name in held}
        whole = {top for top in tops.values() if not any(is_in(top, part) for part in self.shares)}
        return dict.fromkeys(top if top in whole else name for name, top in tops.items())

    def _is_shared(self, name: str) -> bool:
        return any(is_in(part, name) for part in self.shares)


def _alike(theirs: Any, ours: Any) -> bool:
    return ours is not None and ours.shape == theirs.shape


def open_teacher(c: ConfigDict, key: str) -> Teacher:
    """The model that a section of the objective names; only the record of its run is read.

    Where it names kept predictions, the run need not be there. If it is named, it has to be the one that made them.

    Args:
      c: a `lexitok.config.teacher` section.
      key: dotted name of the section, for errors.

    Raises:
      SetupError: no run is named, there is none, or its record cannot be read; an unknown dtype; kept predictions of
        another run.
      PredictionsError: there are none.
    """
    if c.dtype not in DTYPES:
        raise SetupError(f"unknown {key}.dtype '{c.dtype}'; there are {', '.join(DTYPES)}")
    if c.cache:
        return _kept_teacher(c, key)
    if not c.run:
        raise SetupError(f"{key}.run is empty: name the run whose model is to be learnt from")
    steps = saved_steps(c.run)
    if not steps:
        raise SetupError(f"{key}.run: there are no checkpoints in {c.run}")
    try:
        record = _with_template(read_record(step_folder(c.run, steps[-1])), c, key)
        return Teacher(key, record, c.run, encoder_of(record), c.dtype, tuple(c.shares))
    except SetupError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise SetupError(f"{key}.run: the record of {c.run} cannot be read: {error}") from error


def _with_template(record: RunRecord, c: ConfigDict, key: str) -> RunRecord:
    """The record, with the template that a section names: by it the encoder reads chats."""
    if not c.template:
        return record
    try:
        template = template_at(c.template)
    except HubError as error:
        raise SetupError(f"{key}.template: {error}") from error
    config = record.config.copy_and_resolve_references()
    with config.unlocked():
        config.text.chat = ConfigDict({"template": template, "learnt": LEARNT})
    return dataclasses.replace(record, config=config)


def _kept_teacher(c: ConfigDict, key: str) -> Teacher:
    kept = open_predictions(c.cache)
    if c.run:
        theirs, own = fingerprint(read_parameters(c.run).parameters), kept.settings["teacher"]["fingerprint"]
        if theirs != own:
            raise SetupError(
                f"{key}.cache: {c.cache} holds predictions of a model of fingerprint {own}, and {key}.run names "
                f"{c.run}, of {theirs}"
            )
    record = RunRecord.from_tree(kept.settings["record"])
    if _with_template(record, c, key).config.text.get("chat") != record.config.text.get("chat"):
        raise SetupError(f"{key}.cache: {c.cache} holds predictions of chats under another template")
    return Teacher(key, record, kept.settings["teacher"]["run"], encoder_of(record), kept=kept)
