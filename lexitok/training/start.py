"""A run that begins with the parameters of another: all of them, or those of a part, such as a pretrained backbone."""

import dataclasses
import logging
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.parameter_names import map_with_name, names, to_dicts
from lexitok.runs.checkpoints import RunRecord, read_checkpoint
from lexitok.runs.vocabularies import check_same_vocabulary
from lexitok.training.errors import SetupError
from lexitok.training.state import TrainState

log = logging.getLogger(__name__)


def install(state: TrainState, config: ConfigDict, encoder: Encoder) -> TrainState:
    """A fresh state with the parameters that `train.start` names; the state as it is, if it names no run.

    What is read is what that run would be evaluated with: the average of its parameters where it kept one.

    Raises:
      SetupError: that part of the run's model has not just the parameters of this place, each of its shape.
      VocabularyMismatchError: it has rows of symbols, and this run's symbols are others.
      CheckpointError: the run has no checkpoint that can be read.
    """
    c = config.train.start
    if not c.run:
        return state
    taken, record = _taken(c)
    check_same_vocabulary(record, encoder, taken, f"train.start of {c.run}")
    _check(taken, names(jax.eval_shape(lambda: to_dicts(state.model))), c)
    log.info("%d parameters begin as those of %s", len(taken), c.run)

    def fill(name: str, leaf: Any) -> Any:
        return jax.device_put(np.asarray(taken[name], leaf.dtype), leaf.sharding) if name in taken else leaf

    models = [None if model is None else map_with_name(fill, model) for model in (state.model, state.ema)]
    return dataclasses.replace(state, model=models[0], ema=models[1])


def _taken(c: ConfigDict) -> tuple[dict[str, np.ndarray], RunRecord]:
    """The run's parameters in the part that is taken, by the names that they have here, and its record."""
    checkpoint = read_checkpoint(c.run)
    if checkpoint.config.train.ema:
        checkpoint = read_checkpoint(c.run, part="ema")
    found = names(checkpoint.parameters)
    taken = {_inside(c.at, _below(c.part, name)): x for name, x in found.items() if _is_in(c.part, name)}
    return taken, checkpoint.record


def _is_in(part: str, name: str) -> bool:
    return not part or name == part or name.startswith(part + ".")


def _below(part: str, name: str) -> str:
    return name.removeprefix(part).removeprefix(".") if part else name


def _inside(part: str, name: str) -> str:
    return f"{part}.{name}" if part and name else part or name


def _check(taken: dict[str, np.ndarray], here: dict[str, Any], c: ConfigDict) -> None:
    wanted = {name: tuple(x.shape) for name, x in here.items() if _is_in(c.at, name)}
    given = {name: tuple(x.shape) for name, x in taken.items()}
    differing = [
        f"{name}: there {given.get(name, 'none')}, here {wanted.get(name, 'none')}"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name)
    ]
    if differing or not given:
        whole = "the whole model"
        raise SetupError(
            f"train.start takes '{c.part or whole}' of {c.run} for '{c.at or whole}', which has other parameters: "
            f"{'; '.join(differing[:3]) or 'none at all'}"
            f"{f' and {len(differing) - 3} more' if len(differing) > 3 else ''}"
        )
