"""Reading a checkpoint: its record, and its arrays as nested dicts of numpy, without the classes that they were of."""

import dataclasses
import json
import logging
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from lexitok.parameter_names import names
from lexitok.runs.checkpoints.files import (
    FOLDER,
    CheckpointError,
    CheckpointMismatchError,
    DamagedError,
    RunRecord,
    saved_steps,
    step_folder,
    verify,
)

log = logging.getLogger(__name__)

# Orbax logs its failures with many tracebacks before it raises them; here they become one error each.
logging.getLogger("absl").addFilter(lambda record: f"{os.sep}orbax{os.sep}" not in record.pathname)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the host.

    Attributes:
      step: of the run.
      config: of the run.
      parameters: nested dicts of numpy arrays (or one array, where the part is one).
      record: the rest: vocabulary and metadata.
    """

    step: int
    config: ConfigDict
    parameters: Any
    record: RunRecord


def read_checkpoint(workdir: str | os.PathLike, step: int | None = None, *, part: str = "model") -> Checkpoint:
    """Reads a part of a checkpoint's state as numpy arrays, on a machine with any devices.

    Args:
      workdir: of the run.
      step: None for the newest that can be read.
      part: of the state, by its dotted name; empty for the whole.

    Raises:
      CheckpointError: there is no such checkpoint, it is damaged, or has no such part.
    """
    steps = saved_steps(workdir)
    if not steps:
        raise CheckpointError(f"there are no checkpoints in {Path(workdir).absolute() / FOLDER}")
    if step is not None and step not in steps:
        raise CheckpointError(f"no checkpoint of step {step} in {Path(workdir) / FOLDER}; there are: {steps}")
    damaged: dict[int, str] = {}
    for candidate in reversed(steps) if step is None else [step]:
        try:
            found = _read(step_folder(workdir, candidate), candidate, part)
        except Exception as error:
            damaged[candidate] = damage(error)
            continue
        for bad, problem in damaged.items():
            log.warning("checkpoint of step %d is damaged (%s); step %d is read instead", bad, problem, candidate)
        return found
    raise none_readable(Path(workdir), damaged)


def _read(folder: Path, step: int, part: str) -> Checkpoint:
    verify(folder)
    record = read_record(folder)
    with ocp.PyTreeCheckpointer() as reader:
        tree: Any = _saved_arrays(reader, folder)
        path = [p for p in part.split(".") if p]
        chosen = tree
        for name in path:
            if not isinstance(chosen, dict) or name not in chosen:
                there = ", ".join(chosen) if isinstance(chosen, dict) else "an array"
                raise CheckpointError(f"the state in {folder} has no part '{part}': no '{name}' among {there}")
            chosen = chosen[name]
        for name in reversed(path):
            chosen = {name: chosen}
        how = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), chosen)
        item = jax.tree.map(lambda _: 0, chosen)
        args = ocp.args.PyTreeRestore(item=item, restore_args=how, partial_restore=True)
        arrays = reader.restore(folder / "state", args=args)
    for name in path:
        arrays = arrays[name]
    return Checkpoint(step, record.config, arrays, record)


def read_record(folder: Path) -> RunRecord:
    """The record in the folder of a step."""
    return RunRecord.from_tree(json.loads((folder / "extra" / "metadata").read_text()))


def _saved_arrays(reader: ocp.Checkpointer, folder: Path) -> dict[str, Any]:
    """Shapes and dtypes of what was saved, as nested dicts."""
    metadata = reader.metadata(folder / "state").item_metadata
    if metadata is None:
        raise DamagedError("state has no metadata")
    return metadata.tree


def check_arrays(folder: Path, wanted: dict[str, Any]) -> None:
    """Raises a `CheckpointMismatchError` unless the names and shapes that were saved are those that are wanted."""
    with ocp.PyTreeCheckpointer() as reader:
        saved = {k: tuple(v.shape) for k, v in names(_saved_arrays(reader, folder)).items()}
    asked = {k: tuple(v.shape) for k, v in names(wanted).items()}
    differing = [
        f"{k}: checkpoint {saved.get(k, 'has none')}, run {asked.get(k, 'has none')}"
        for k in sorted(saved.keys() | asked.keys())
        if saved.get(k) != asked.get(k)
    ]
    if differing:
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise CheckpointMismatchError(
            f"checkpoint {folder} does not fit this run's arrays: {'; '.join(differing[:5])}{more}. Use the "
            "checkpoint's model and optimizer, or another workdir."
        )


def none_readable(workdir: Path, damaged: dict[int, str]) -> CheckpointError:
    """The error that names every damaged step with its problem."""
    what = "; ".join(f"step {step}: {problem}" for step, problem in damaged.items())
    return CheckpointError(
        f"no checkpoint in {workdir / FOLDER} can be read ({what}). Move the folder away to start anew."
    )


def damage(error: Exception) -> str:
    """What is damaged, if that is what an error on reading says; other errors are raised again."""
    text = str(error)
    if isinstance(error, DamagedError) or any(mark in text for mark in ("DATA_LOSS", "OUT_OF_RANGE", "NOT_FOUND")):
        return shorten(error)
    raise error


def shorten(error: Exception) -> str:
    """The part of an error's message that says what went wrong: TensorStore puts it last, behind where it did."""
    text = " ".join(str(error).split())
    if "os_error_code" in text:
        return text.split(" [os_error_code")[0].split(": ")[-1]
    return text if len(text) <= 300 else text[:300] + " ..."
