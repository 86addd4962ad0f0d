"""Evaluating a run's checkpoint on other text than it was trained with, or on more of it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from lexitok.data.sources import open_source
from lexitok.evals import Evaluation, evaluate, probe
from lexitok.runs.load import load_ensemble, load_model
from lexitok.runs.run import Run
from lexitok.sharding import make_mesh


def evaluate_run(
    run: Run,
    *,
    source: str | None = None,
    split: str = "validation",
    max_bytes: int = 0,
    others: Sequence[Path] = (),
    mean: str = "probability",
) -> Evaluation:
    """Scores whole documents with a run's newest checkpoint, rows split over all devices.

    Args:
      run: the run.
      source: where the documents are, as `data.source`; None: the run's own.
      split: of the source.
      max_bytes: of whole documents, at most; 0: all.
      others: directories of runs of the same tokenizer; the mean of all models' predictions is scored.
      mean: of what, see `lexitok.models.ensemble`.

    Raises:
      RunError: a run cannot be read, or is of another tokenizer.
      SourceError: no such source or split.
      MeshError: the run's `data.rows` cannot be split over the devices.
    """
    (evaluation,) = _measure(evaluate, run, [source], split, max_bytes, others, mean)
    return evaluation


def evaluate_sources(
    run: Run,
    sources: Sequence[str],
    *,
    split: str = "validation",
    max_bytes: int = 0,
    others: Sequence[Path] = (),
    mean: str = "probability",
) -> Iterator[Evaluation]:
    """As `evaluate_run`, on one source after the other with the same model."""
    return _measure(evaluate, run, sources, split, max_bytes, others, mean)


def probe_run(
    run: Run,
    *,
    source: str | None = None,
    split: str = "validation",
    max_bytes: int = 0,
    fraction: float = 0.1,
    seed: int = 0,
) -> dict[str, Any]:
    """The robustness of a run's newest checkpoint (`lexitok.evals.robustness`) on the documents of `evaluate_run`.

    Args:
      run, source, split, max_bytes: as of `evaluate_run`.
      fraction, seed: of the noise.

    Raises:
      PerturbationError: a document is not valid UTF-8; and as `evaluate_run`.
    """
    (result,) = _measure(probe, run, [source], split, max_bytes, fraction=fraction, seed=seed)
    return result


def _measure(
    measure: Callable[..., Any],
    run: Run,
    sources: Sequence[str | None],
    split: str,
    max_bytes: int,
    others: Sequence[Path] = (),
    mean: str = "probability",
    **settings: Any,
) -> Iterator[Any]:
    c, mesh = run.config, make_mesh()
    with jax.set_mesh(mesh):
        model, encoder = load_ensemble([run, *others], mean) if others else load_model(run)
    for source in sources:
        corpus = open_source(source or c.data.source, split, cache=c.data.cache, field=c.data.field)
        documents = [document.data for document in corpus.documents(max_bytes)]
        with jax.set_mesh(mesh):  # not while a caller has the result
            result = measure(
                model,
                encoder,
                documents,
                rows=c.data.rows,
                symbols=c.data.symbols,
                units=c.data.units,
                chunk=c.objective.chunk,
                overlap=c.eval.overlap,
                words=c.eval.words,
                **settings,
            )
        yield result
