"""What the teacher of a config predicts of its training text, kept for students to come."""

from collections.abc import Iterator
from pathlib import Path

import jax
from ml_collections import ConfigDict

from lexitok.data.sources import open_source
from lexitok.distill.keeping import Reading, keep_predictions
from lexitok.runs.load import load_model
from lexitok.runs.parameters import fingerprint, read_parameters
from lexitok.training.state import SetupError, rounded
from lexitok.training.teachers import TEACHER, open_teacher


def keep_predictions_of(
    config: ConfigDict, folder: Path, *, top_k: int, share: tuple[int, int] = (0, 1)
) -> Iterator[tuple[int, int]]:
    """Keeps what the teacher of a config predicts of the training text, on the mesh that is set.

    It reads documents in windows of `objective.teacher.symbols`, as evaluation does with `eval.overlap`.

    Args:
      config: the whole tree.
      folder, share: as of `keep_predictions`.
      top_k: logits that are kept of each target.

    Yields:
      Documents and symbols of each file.

    Raises:
      SetupError, PredictionsError, SourceError, CheckpointError: as of what it calls.
    """
    c, data = config.objective.teacher, config.data
    teacher = open_teacher(c, f"objective.{TEACHER}")
    if teacher.kept is not None:
        raise SetupError(f"objective.{TEACHER}.cache is set: name the run, whose predictions are to be kept")
    checkpoint = read_parameters(c.run)
    of = {"run": c.run, "step": checkpoint.step, "fingerprint": fingerprint(checkpoint.parameters), "dtype": c.dtype}
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    model, _ = load_model(c.run)
    reading = Reading(data.rows, c.symbols, c.units, config.eval.overlap, top_k, config.objective.chunk)
    settings = {"teacher": of, "record": teacher.record.to_tree()}
    model = jax.jit(rounded, static_argnums=1)(model, c.dtype)
    yield from keep_predictions(folder, model, teacher.encoder, corpus, reading, settings, share=share)
