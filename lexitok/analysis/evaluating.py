"""Evaluating a run's checkpoint on other text than it was trained with, or on more of it."""

import jax

from lexitok.analysis.load import load_model
from lexitok.analysis.runs import Run
from lexitok.data.sources import open_source
from lexitok.evals import Evaluation, evaluate
from lexitok.sharding import make_mesh


def evaluate_run(run: Run, *, source: str | None = None, split: str = "validation", max_bytes: int = 0) -> Evaluation:
    """Scores whole documents with a run's newest checkpoint, rows split over all devices.

    Args:
      run: the run.
      source: where the documents are, as `data.source`; None: the run's own.
      split: of the source.
      max_bytes: of whole documents, at most; 0: all.

    Raises:
      SourceError: no such source or split.
      MeshError: the run's `data.rows` cannot be split over the devices.
    """
    c = run.config
    corpus = open_source(source or c.data.source, split, cache=c.data.cache, field=c.data.field)
    documents = [document.data for document in corpus.documents(max_bytes)]
    with jax.set_mesh(make_mesh()):
        model, encoder = load_model(run)
        return evaluate(
            model,
            encoder,
            documents,
            rows=c.data.rows,
            symbols=c.data.symbols,
            units=c.data.units,
            overlap=c.eval.overlap,
            words=c.eval.words,
        )
