"""Reading what a run wrote: its config, its metrics, its final evaluation, its sample."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from lexitok.config.files import from_json
from lexitok.config.older import completed
from lexitok.runs.documents import FILE as DOCUMENTS_FILE
from lexitok.runs.documents import DocumentScores, read_documents
from lexitok.runs.metrics import FILE as METRICS_FILE
from lexitok.runs.metrics import read_metrics
from lexitok.runs.writing import write_whole

CONFIG = "config.json"
RESULT_FILE = "result.json"


class RunError(ValueError):
    """A directory that is not a run, or a file of a run that cannot be read; the message names it."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run directory.

    Attributes:
      path: the directory.
      name: of the config; the directory's if that is empty.
      config: the config the run was started with.
      metrics: the lines of `metrics.jsonl`, one object a step, ascending.
      result: the final evaluation; empty as long as there is none.
      sample: the text of `samples.txt`; empty as long as there is none.
    """

    path: Path
    name: str
    config: ConfigDict
    metrics: tuple[dict[str, Any], ...]
    result: dict[str, Any]
    sample: str

    def series(self, y: str, x: str = "step") -> tuple[np.ndarray, np.ndarray]:
        """The lines that have both keys, as float64 arrays `x, y` `[n]`."""
        pairs = [(line[x], line[y]) for line in self.metrics if _number(line.get(x)) and _number(line.get(y))]
        out = np.array(pairs, np.float64).reshape(-1, 2)
        return out[:, 0], out[:, 1]

    def bytes_per_second(self) -> float:
        """Raw bytes a second while training: the median over the intervals between lines, NaN with fewer than two.

        The median leaves out the intervals that hold compilation, evaluation or a restart.
        """
        seconds, seen = self.series("bytes", x="seconds")
        dt, dn = np.diff(seconds), np.diff(seen)
        kept = (dt > 0) & (dn > 0)
        return float(np.median(dn[kept] / dt[kept])) if kept.any() else math.nan

    def documents(self) -> DocumentScores | None:
        """Scores by document of the final evaluation, or None if the run wrote none.

        Raises:
          DocumentsError: a damaged line; names it.
        """
        file = self.path / DOCUMENTS_FILE
        return read_documents(file) if file.exists() else None

    def add_result(self, name: str, value: Any) -> None:
        """Puts a measurement that was made later into the run's `result.json`; a run without one is left alone."""
        file = self.path / RESULT_FILE
        if not file.exists():
            return
        write_whole(file, json.dumps(_read_object(file) | {name: value}, indent=1) + "\n")


def read_run(path: str | Path) -> Run:
    """Reads a run directory.

    Raises:
      RunError: no such directory, no `config.json` in it, or a file that cannot be read.
      MetricsError: a damaged line in `metrics.jsonl`; names it.
    """
    path = Path(path)
    config = read_config(path)
    result = path / RESULT_FILE
    sample = path / "samples.txt"
    return Run(
        path=path,
        name=str(config.get("name") or path.name),
        config=config,
        metrics=tuple(_metrics(path)),
        result=_read_object(result) if result.exists() else {},
        sample=sample.read_text(encoding="utf-8", errors="replace") if sample.exists() else "",
    )


def read_config(path: Path) -> ConfigDict:
    """The config of a run directory.

    Raises:
      RunError: no such directory, or no readable `config.json` in it.
    """
    file = path / CONFIG
    if not path.is_dir():
        raise RunError(f"no run directory {path}: train one, or name another")
    if not file.is_file():
        raise RunError(f"{path} is not a run: it has no config.json")
    try:
        return completed(from_json(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise RunError(f"{file} is not a config: {error}") from error


def _metrics(path: Path) -> list[dict[str, Any]]:
    """One object a step: training metrics and evaluations of a step are written as lines of their own."""
    by_step: dict[int, dict[str, Any]] = {}
    for line in read_metrics(path) if (path / METRICS_FILE).exists() else ():
        by_step[line["step"]] = by_step.get(line["step"], {}) | line
    return [by_step[step] for step in sorted(by_step)]


def _read_object(file: Path) -> dict[str, Any]:
    try:
        out = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{file} is not JSON: {error}") from error
    if not isinstance(out, dict):
        raise RunError(f"{file} holds a {type(out).__name__}, not an object")
    return out


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
