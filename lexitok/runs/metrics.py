"""A run's numbers by step: `metrics.jsonl` and TensorBoard."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tensorboardX import SummaryWriter

from lexitok.runs.writing import write_whole

FILE = "metrics.jsonl"


class MetricsError(ValueError):
    """A `metrics.jsonl` that cannot be read; the message names file and line."""


class MetricWriter:
    """Writes numbers by step to `workdir/metrics.jsonl`, to TensorBoard (`workdir/tensorboard`), and keeps them.

    In a run of several processes, only the first writes files.

    Attributes:
      history: one dict a call of `write`, with its `step`; on resuming, also those of the run so far.
    """

    def __init__(self, workdir: str | os.PathLike, *, resumed_from: int | None = None):
        """Opens the files of a run.

        Args:
          workdir: of the run.
          resumed_from: the step of the checkpoint that the run goes on from: what was written of later steps is cut
            off, so that the file becomes that of an uninterrupted run. None: a run from the start, nothing is kept.
        """
        last = -1 if resumed_from is None else resumed_from
        path = Path(workdir) / FILE
        self.history = _rows_up_to(path, last)
        self._file = self._board = None
        if jax.process_index() == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, "".join(json.dumps(row) + "\n" for row in self.history))
            self._file = path.open("a", encoding="utf-8")
            self._board = SummaryWriter(str(path.parent / "tensorboard"), purge_step=last + 1)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes scalars under their names (`loss`, `eval/bpb`), and flushes them to the file.

        Raises:
          ValueError: a value is not a single number; names it.
        """
        row = {"step": step} | {name: _number(name, value) for name, value in values.items()}
        self.history.append(row)
        if self._file is None or self._board is None:
            return
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name in values:
            self._board.add_scalar(name, row[name], step)

    def close(self) -> None:
        """Closes the files; the history stays."""
        if self._file is not None and self._board is not None:
            self._file.close()
            self._board.close()
            self._file = self._board = None

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def read_metrics(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, in order; a last line that was cut off by a killed run is left out.

    Raises:
      FileNotFoundError: the run has written none.
      MetricsError: a line in the middle is no JSON object with a step.
    """
    path = Path(workdir) / FILE
    rows: list[dict[str, Any]] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is empty, or was cut off
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or "step" not in row:
            raise MetricsError(f"{path}:{number}: no JSON object with a step; remove the line to go on")
        rows.append(row)
    return rows


def _number(name: str, value: Any) -> float | int:
    array = np.asarray(value)
    if array.size != 1 or (array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16"):
        raise ValueError(f"metric '{name}' is not a single number: shape {array.shape}, dtype {array.dtype}")
    return int(array.item()) if array.dtype.kind in "biu" else float(array.item())


def _rows_up_to(path: Path, step: int) -> list[dict[str, Any]]:
    return [row for row in read_metrics(path.parent) if row["step"] <= step] if path.exists() else []
