"""Hydra models of runs: tables of several runs over the backbone of one, and a part of it as a run again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from lexitok.config import hydra
from lexitok.hub.conversion import check_free, write_run
from lexitok.interfaces.hydra import Hydra
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.text.joint_tokenizer import JointTokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.runs import SubwordRun, open_subword


def join_runs(runs: Mapping[str, str | Path], workdir: str | Path, *, backbone: str = "") -> None:
    """Writes a run whose model has the interface of each of these runs, by name, over one backbone.

    Args:
      runs: directories of runs of subword models.
      workdir: of the new run; there must be nothing yet.
      backbone: the name of the one whose backbone it is; empty: that of all, which has to be the same, as it is where
        all were given their tokenizers by a transfer.

    Raises:
      TransferError: fewer than two runs; backbones that differ in their settings, or in their parameters where none is
        named; a name that is not among the runs.
      HubError: there is something at `workdir`.
      RunError, CheckpointError: there is no such run or checkpoint.
    """
    workdir = Path(workdir)
    check_free(workdir)
    if len(runs) < 2:
        raise TransferError("name two runs at least: a Hydra has several interfaces")
    if backbone and backbone not in runs:
        raise TransferError(f"no run is called '{backbone}'; there are {', '.join(runs)}")
    opened = {name: open_subword(run) for name, run in runs.items()}
    base = opened[backbone] if backbone else next(iter(opened.values()))
    for name, other in opened.items():
        _check_same_backbone(name, base, other, parameters=not backbone)
    tokenizer = JointTokenizer({name: run.tokenizer for name, run in opened.items()})
    config = _config(base.config, opened, tokenizer)
    model = jax.tree.map(lambda leaf: leaf, base.model)
    model.interface = _joined(config.model.interface, {name: run.model.interface for name, run in opened.items()})
    versions = {"jax": jax.__version__, "joined from": {name: str(run.path) for name, run in opened.items()}}
    write_run(workdir, RunRecord(config, tokenizer.to_bytes(), versions), model)


def part_as_run(run: str | Path, name: str, workdir: str | Path, *, step: int | None = None) -> None:
    """Writes the model of one part of a Hydra's run as a run of its own.

    Args:
      run: directory of the Hydra's run.
      name: of the part.
      workdir: of the new run; there must be nothing yet.
      step: of the checkpoint; None: the newest.

    Raises:
      TransferError: the run is of no Hydra, or has no such part.
      HubError: there is something at `workdir`.
      RunError, CheckpointError: there is no such run or checkpoint.
    """
    workdir = Path(workdir)
    check_free(workdir)
    config = read_config(Path(run)).copy_and_resolve_references()
    model, encoder = load_model(run, step)
    part, tokenizer = part_of(model, name, run), encoder.tokenizer.parts[name]  # type: ignore[attr-defined]
    with config.unlocked():
        config.name = f"{config.name}-{name}"
        config.text.vocabulary.size = tokenizer.vocabulary.size
        config.model.interface = config.model.interface.parts[name].interface
        config.data.parts = ()
    versions = {"jax": jax.__version__, "a part of": str(run)}
    write_run(workdir, RunRecord(config.lock(), tokenizer.to_bytes(), versions), part)


def part_of(model: Any, name: str, run: str | Path = "") -> Any:
    """The model with one of its interfaces; it reads the ids of that part's own tokenizer.

    Raises:
      TransferError: the model, of `run`, is no Hydra, or has no such part.
    """
    interface = model.interface
    if not isinstance(interface, Hydra):
        raise TransferError(f"{run or 'the model'} has a {type(interface).__name__} and not several interfaces")
    if name not in interface.names:
        raise TransferError(f"{run or 'the model'} has no part '{name}'; there are {', '.join(interface.names)}")
    out = jax.tree.map(lambda leaf: leaf, model)
    out.interface = interface.parts[name]
    return out


def _check_same_backbone(name: str, base: SubwordRun, other: SubwordRun, *, parameters: bool) -> None:
    if base.config.model.kind != other.config.model.kind or base.config.model.backbone != other.config.model.backbone:
        raise TransferError(f"the backbone of '{name}' ({other.path}) has other settings than that of {base.path}")
    if not parameters:
        return
    ours, theirs = (names(to_dicts(run.model.backbone)) for run in (base, other))
    differ = [key for key, x in ours.items() if not np.array_equal(np.asarray(x), np.asarray(theirs[key]))]
    if differ:
        raise TransferError(
            f"the backbone of '{name}' ({other.path}) is not that of {base.path}; they differ in {differ[0]}: "
            "say whose it is to be"
        )


def _config(base: ConfigDict, opened: Mapping[str, SubwordRun], tokenizer: JointTokenizer) -> ConfigDict:
    config = base.copy_and_resolve_references()
    with config.unlocked():
        config.name = "-".join(["hydra", *opened])
        config.text.vocabulary.size = tokenizer.vocabulary.size
        sections = {name: run.config.model.interface for name, run in opened.items()}
        sizes = {name: run.tokenizer.vocabulary.size for name, run in opened.items()}
        config.model.interface = hydra({name: (sizes[name], sections[name]) for name in opened})
        if "pretrained" in config:
            del config.pretrained  # no other layout has several tables
    return config.lock()


def _joined(c: ConfigDict, interfaces: Mapping[str, Any]) -> Hydra:
    """The interface of these parts, whose arrays it shares."""
    V = sum(interface.vocabulary_size for interface in interfaces.values())
    in_turn = iter([interfaces[name] for name in sorted(interfaces)])
    return Hydra(c, V, 0, make=lambda *_: next(in_turn), rngs=nnx.Rngs(0))
