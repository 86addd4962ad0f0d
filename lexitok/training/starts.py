"""What a fresh run takes from other runs: a list of parts of its model, each with where its parameters are from.

`train.start` names one, such as a pretrained backbone; a router that asks a model of its own (BLT) names another, and a
hypernetwork its base model. Where such a part is fixed, checkpoints keep its origin in place of its arrays. Models
that an objective reads beside the one that is trained (`lexitok.training.teachers`) are wholly so.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from lexitok.config import asking_router
from lexitok.config.files import diff
from lexitok.data.encoders import Encoder
from lexitok.made import without_made
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.origin import Origin
from lexitok.runs.parameters import fingerprint, is_in, part_of, read_parameters
from lexitok.runs.vocabularies import check_same_vocabulary
from lexitok.training import entropy, hypernetworks
from lexitok.training.state import SetupError, TrainState, is_fixed, with_parameters
from lexitok.training.teachers import Teacher

log = logging.getLogger(__name__)
_HOW = ("compute_dtype", "remat", "attention")  # settings that say how and not what is computed


@dataclasses.dataclass(frozen=True)
class Start:
    """A part of a model that begins as that of another run's.

    Attributes:
      key: the setting that says so, for errors.
      run: directory of the run.
      part: of its model; empty: the whole.
      at: the part of this model; empty: the whole.
      model: the section `model` that the run has to have; None: any.
      said_by: the settings that it is said by, for errors.
    """

    key: str
    run: str
    part: str
    at: str
    model: ConfigDict | None = None
    said_by: str = ""


def starts_of(config: ConfigDict) -> list[Start]:
    """What a run's config takes from other runs.

    Raises:
      SetupError: a router asks a model, or an interface makes rows of one's, and no run is named.
    """
    c, found = config.train.start, []
    if config.model.get("interface", {}).get("kind") == "hypernetwork":
        found += _base(config)
    if (asking := asking_router(config)) is not None:
        found.append(_asked(*asking))
    if c.run:
        found.append(Start("train.start", c.run, c.part, c.at))
    return found


def install(
    state: TrainState, config: ConfigDict, encoder: Encoder, teachers: Mapping[str, Teacher] | None = None
) -> tuple[TrainState, tuple[Origin, ...]]:
    """A fresh state with the parameters that its config takes from other runs, and where its fixed parts are from.

    What is read is what those runs would be evaluated with: the average of their parameters where they kept one.

    Args:
      state: that was just made.
      config: the whole tree.
      encoder: of the run.
      teachers: models that are only read, by name.

    Raises:
      SetupError: that part of a run's model has not just the parameters of this place, each of its shape.
      VocabularyMismatchError: it has rows of symbols, and this run's symbols are others.
      CheckpointError: a run has no checkpoint that can be read.
    """
    here = without_made(names(jax.eval_shape(lambda: to_dicts(state.model))))
    fixed = names(to_dicts(state.fixed["model"]))
    origins: dict[tuple[str, str], Origin] = {}  # of each part, where it was last taken from
    all_taken: set[str] = set()
    for start in starts_of(config):
        checkpoint = read_parameters(start.run)
        taken = part_of(checkpoint.parameters, start.part, start.at)
        _check_model(start, checkpoint.config)
        _check_parameters(taken, here, start)
        check_same_vocabulary(checkpoint.record, (config, encoder), taken, f"{start.key} of {start.run}")
        log.info("%d parameters begin as those of %s", len(taken), start.run)
        state = with_parameters(state, taken)
        all_taken |= taken.keys()
        found = _origins(taken, fixed, start, checkpoint.step, config.optimizer.frozen)
        origins |= {(origin.of, origin.at): origin for origin in found}
    if (asking := asking_router(config)) is not None:
        state = entropy.calibrated(state, *asking, config, encoder)
    state = hypernetworks.scaled(state, all_taken)
    for name, teacher in (teachers or {}).items():
        held, own = teacher.install(state.fixed[name], name, tuple(origins.values()))
        state = dataclasses.replace(state, fixed=state.fixed | {name: held})
        origins |= {(origin.of, origin.at): origin for origin in own}
    return state, tuple(origins.values())


def _base(config: ConfigDict) -> list[Start]:
    """A hypernetwork's base model: its backbone, and its table for a source."""
    c, key = config.model.interface, "model.interface"
    if config.text.kind != "subword":
        raise SetupError(f"a hypernetwork makes rows of tokens: text.kind is '{config.text.kind}', not 'subword'")
    if not c.run:
        raise SetupError(
            f"{key}.run is empty: a hypernetwork makes its rows of those of a base model. Name the run of one that has "
            f"a learned table:\n    --config.{key}.run=RUN"
        )
    base = config.model.copy_and_resolve_references()
    with base.unlocked():
        base.interface = c.source
    said_by = f"what model.backbone and {key}.source say"
    return [
        Start(key, c.run, "backbone", "backbone", base, said_by),
        Start(key, c.run, "interface", "interface.frozen_source", base, said_by),
    ]


def _asked(path: str, router: ConfigDict) -> Start:
    key = f"model.{path}"
    if not router.run:
        raise SetupError(
            f"{key}.run is empty: BLT's splitter asks a small byte model. Train one, and name its run:\n"
            f"    {entropy.TRAIN}\n    --config.{key}.run=RUN\n(or split at spaces: configs/blt.py:space)"
        )
    return Start(key, router.run, "", f"{path}.frozen_lm", router.lm, f"{key}.lm")


def _check_model(start: Start, config: ConfigDict) -> None:
    if start.model is None:
        return
    differences = {k: v for k, v in diff(start.model, config.model).items() if k.split(".")[-1] not in _HOW}
    if differences:
        raise SetupError(f"{start.said_by} is not the model of {start.run}; they differ in {differences}")


def _check_parameters(taken: Mapping[str, Any], here: Mapping[str, Any], start: Start) -> None:
    wanted = {name: tuple(x.shape) for name, x in here.items() if is_in(start.at, name)}
    given = {name: tuple(x.shape) for name, x in taken.items()}
    differing = [
        f"{name}: there {given.get(name, 'none')}, here {wanted.get(name, 'none')}"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name)
    ]
    if differing or not given:
        whole = "the whole model"
        raise SetupError(
            f"{start.key} takes '{start.part or whole}' of {start.run} for '{start.at or whole}', which has other "
            f"parameters: {'; '.join(differing[:3]) or 'none at all'}"
            f"{f' and {len(differing) - 3} more' if len(differing) > 3 else ''}"
        )


def _origins(
    taken: Mapping[str, Any], fixed: Mapping[str, Any], start: Start, step: int, frozen: Sequence[str]
) -> list[Origin]:
    """Of the fixed parts among what was taken; single numbers are kept as they are."""
    groups: dict[str, dict[str, Any]] = {}
    for name, values in taken.items():
        if name in fixed and len(fixed[name].shape):
            groups.setdefault(_fixed_part(name, frozen), {})[name] = values
    return [
        Origin(at, start.run, _there(at, start), step, fingerprint(parameters)) for at, parameters in groups.items()
    ]


def _fixed_part(name: str, frozen: Sequence[str]) -> str:
    """The largest part that a fixed parameter is fixed with."""
    named = [part for part in frozen if is_in(part, name)]
    if named:
        return min(named, key=len)
    if not is_fixed(name):
        return name  # a table of which only some rows are trained
    parts = name.split(".")
    first = next(i for i, part in enumerate(parts) if part.startswith("frozen_"))
    return ".".join(parts[: first + 1])


def _there(at: str, start: Start) -> str:
    """The name that a part of this model has in the run that it is taken from."""
    below = at.removeprefix(start.at).removeprefix(".")
    return ".".join(part for part in (start.part, below) if part)
