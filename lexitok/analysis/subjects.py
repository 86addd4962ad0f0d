"""The models that a probe compares, and the text that all of them read."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexitok.data.encoders import Encoder
from lexitok.data.sources import open_source
from lexitok.runs.load import load_model
from lexitok.runs.run import read_run


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model to be probed.

    Attributes:
      name: what tables and plots call it.
      model: of the newest checkpoint.
      encoder: of its text.
    """

    name: str
    model: Any
    encoder: Encoder


def open_subjects(
    paths: Sequence[str | Path], *, source: str | None = None, split: str = "validation", max_bytes: int = 200_000
) -> tuple[list[Subject], list[bytes]]:
    """The models of runs, and documents for all of them.

    Args:
      paths: directories of runs, one at least.
      source: where the documents are, as `data.source`; None: that of the first run.
      split: of the source.
      max_bytes: of whole documents, at most; 0: all.

    Raises:
      RunError, CheckpointError: a directory is no run, or its checkpoint cannot be read.
      SourceError: no such source or split.
    """
    runs, names = [read_run(path) for path in paths], short_names(paths)
    subjects = [Subject(name, *load_model(run)) for name, run in zip(names, runs, strict=True)]
    data = runs[0].config.data
    corpus = open_source(source or data.source, split, cache=data.cache, field=data.field)
    return subjects, [document.data for document in corpus.documents(max_bytes)]


def short_names(paths: Sequence[str | Path]) -> list[str]:
    """The names of directories, with as many folders above as it takes to tell different ones apart."""
    parts = [Path(path).resolve().parts for path in paths]
    for count in range(1, max(map(len, parts), default=0)):
        if len({p[-count:] for p in parts}) == len(set(parts)):
            return ["/".join(p[-count:]) for p in parts]
    return ["/".join(p) for p in parts]
