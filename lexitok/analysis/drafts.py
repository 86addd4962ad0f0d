"""Draft models and their targets, as runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from lexitok.data.sources import open_source
from lexitok.evals.acceptance import Acceptance, acceptance
from lexitok.evals.evaluate import EvaluationError
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.sharding import make_mesh


def acceptance_of_runs(
    draft: str | Path,
    target: str | Path,
    *,
    source: str | None = None,
    split: str = "validation",
    max_bytes: int = 100_000,
    drafted: Sequence[int] = (1, 2, 4, 8),
) -> Acceptance:
    """What the newest checkpoint of one run keeps of the draft of another's.

    Args:
      draft, target: directories of runs of subword models with the same tokens.
      source, split, max_bytes: of whole documents; `source` None: the target's own.
      drafted: tokens that are drafted at once.

    Raises:
      EvaluationError: the runs' tokens differ; or as `lexitok.evals.acceptance.acceptance`.
      SourceError: no such source or split.
    """
    c, mesh = read_config(Path(target)), make_mesh()
    with jax.set_mesh(mesh):
        (small, own), (large, encoder) = load_model(draft), load_model(target)
        _check_same(own, encoder)
        corpus = open_source(source or c.data.source, split, cache=c.data.cache, field=c.data.field)
        documents = [document.data for document in corpus.documents(max_bytes)]
        window = {"rows": c.data.rows, "symbols": c.data.symbols, "overlap": c.eval.overlap}
        return acceptance(small, large, encoder, documents, drafted=drafted, **window)


def _check_same(draft: Any, target: Any) -> None:
    pairs = zip(draft.vocabulary.token_bytes, target.vocabulary.token_bytes, strict=False)
    differ = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if differ is not None:
        raise EvaluationError(
            f"token {differ} of the draft model is another than the target's: give it the target's tokenizer first "
            "(experiments/transfer.py)"
        )
