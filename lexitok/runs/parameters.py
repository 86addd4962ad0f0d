"""The parameters of a run's model, as they are evaluated: out of its checkpoint, and out of the runs that it reads.

A checkpoint holds what the run trained, and what was fixed in it and comes from nowhere else. What was fixed and comes
from another run (BLT's entropy model, a frozen backbone) is kept by its origin, and read there. So is a table of which
only some rows were trained: the checkpoint holds these, and here is the whole again.
"""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lexitok.parameter_names import names
from lexitok.runs.checkpoints.files import CheckpointError
from lexitok.runs.checkpoints.reading import Checkpoint, read_checkpoint
from lexitok.runs.origin import Origin
from lexitok.runs.run import RunError


def read_parameters(workdir: str | os.PathLike, step: int | None = None) -> Checkpoint:
    """The checkpoint of a run, and in it all parameters of its model, by dotted name: those that it is evaluated with.

    That is the average of what was trained, where the run kept one, and all that was fixed.

    Args:
      workdir: of the run.
      step: None for the newest that can be read.

    Raises:
      CheckpointError: there is no such checkpoint, it is damaged, or what it was trained with is gone or has changed.
      RunError: a parameter is not finite; names it.
    """
    checkpoint = read_checkpoint(workdir, step, part="")
    state = checkpoint.parameters
    trained = names(state["model"]) | names(state.get("ema") or {})
    fixed = names(state.get("fixed", {}).get("model", {}))
    for origin in (origin for origin in checkpoint.record.fixed or () if origin.of == "model"):
        fixed |= from_origin(origin, workdir)
    found = fixed | trained
    for name in fixed.keys() & trained.keys():  # of a table, only some rows were trained
        found[name] = np.array(fixed[name], trained[name].dtype)
        found[name][state["fixed"]["rows"]] = trained[name]
    _check_finite(found, f"step {checkpoint.step} of {workdir}")
    return dataclasses.replace(checkpoint, parameters=found)


def _check_finite(parameters: Mapping[str, np.ndarray], where: str) -> None:
    """Checks that a model's parameters, by dotted name, are numbers.

    Raises:
      RunError: one is infinite or not a number; names it.
    """
    for name, values in parameters.items():
        if not np.isfinite(values).all():
            count = int(values.size - np.isfinite(values).sum())
            raise RunError(f"{where}: parameter '{name}' has {count} values that are not finite: the run has broken")


def from_origin(origin: Origin, workdir: str | os.PathLike) -> dict[str, np.ndarray]:
    """The fixed parameters that a run has from another, by the names that they have in its model of `origin.of`.

    The other run is looked for as `located` does.

    Raises:
      CheckpointError: it is nowhere, has not that checkpoint any more, or other parameters in it.
    """
    found = located(origin.run, workdir)
    what = f"{origin.name} of {workdir} is fixed, and comes from step {origin.step} of {origin.run}"
    if found is None:
        raise CheckpointError(f"{what}, which is not there, nor at {_beside(origin.run, workdir)}: put it back")
    try:
        taken = part_of(read_parameters(found, origin.step).parameters, origin.part, origin.at)
    except CheckpointError as error:
        raise CheckpointError(f"{what}: {error}") from error
    if fingerprint(taken) != origin.fingerprint:
        raise CheckpointError(f"{what}, which has other parameters now: its fingerprint is not {origin.fingerprint}")
    return taken


def located(run: str | os.PathLike, workdir: str | os.PathLike) -> Path | None:
    """Where a run is that another has read: where it was, or now beside the other; None: nowhere."""
    return next((path for path in (Path(run), _beside(run, workdir)) if path.is_dir()), None)


def _beside(run: str | os.PathLike, workdir: str | os.PathLike) -> Path:
    return Path(workdir).absolute().parent / Path(run).name


def part_of(parameters: Mapping[str, Any], part: str, at: str) -> dict[str, Any]:
    """The parameters below `part`, by the names that they have below `at`; an empty name stands for the whole model."""
    return {_inside(at, _below(part, name)): x for name, x in parameters.items() if is_in(part, name)}


def is_in(part: str, name: str) -> bool:
    """Whether a parameter is in a part of a model."""
    return not part or name == part or name.startswith(part + ".")


def fingerprint(parameters: Mapping[str, Any]) -> str:
    """Of names, shapes, dtypes and values: the first 16 hexadecimal digits of their SHA-256."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        values = np.ascontiguousarray(parameters[name])
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _below(part: str, name: str) -> str:
    return name.removeprefix(part).removeprefix(".") if part else name


def _inside(part: str, name: str) -> str:
    return f"{part}.{name}" if part and name else part or name
