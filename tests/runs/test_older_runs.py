"""Runs that were written before the state had two parts: they open, evaluate to the same, go on, and are exported.

`tests/fixtures/runs_before_redraw.tar.xz` holds four of them, of four steps each, as commit bfed5c6 wrote them, with
the metrics and the result that the same commit came to when each went on to eight.
"""

import json
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest

from lexitok.evals import evaluate
from lexitok.hub.conversion import from_run
from lexitok.hub.load import load
from lexitok.runs.load import load_model, validation_documents
from lexitok.runs.metrics import read_metrics
from lexitok.runs.run import read_run
from lexitok.training.loop import train

RUNS = Path(__file__).parents[1] / "fixtures" / "runs_before_redraw.tar.xz"


@pytest.fixture
def workdir(tmp_path, monkeypatch) -> Path:
    """The directory in which they were trained, their data in it."""
    with tarfile.open(RUNS) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "kind", ["subword", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("hat_v2", "blt"))]
)
def test_older_runs_evaluate_and_go_on(workdir, kind):
    """The same bits per byte, and the same steps afterwards, up to the rounding of another processor."""
    run = read_run(kind)
    model, encoder = load_model(run)
    data = run.config.data
    budgets = {"rows": data.rows, "symbols": data.symbols, "units": data.units, "overlap": run.config.eval.overlap}
    documents = validation_documents(run, run.config.eval.bytes)
    found = evaluate(model, encoder, documents, **budgets, words=run.config.eval.words)
    assert found.bpb == pytest.approx(run.result["bpb"], rel=1e-4)
    config = run.config.copy_and_resolve_references()
    config.mesh.tensor = 4  # four rows are for two of the eight devices here
    config.train.steps = config.train.eval_every = config.train.checkpoint_every = 8
    result = train(config, kind)
    assert result["bpb"] == pytest.approx(
        json.loads((Path(kind) / "expected_result.json").read_text())["bpb"], rel=1e-3
    )
    expected = [json.loads(line) for line in Path(kind, "expected_metrics.jsonl").read_text().splitlines()]
    within = 2e-2 if kind == "blt" else 1e-3  # a threshold decides where its units end, and rounding decides at it
    for new, old in zip(read_metrics(kind), expected, strict=True):
        for name in {"train/bpb", "train/grad_norm", "train/lr", "data/bytes", "eval/bpb"} & old.keys():
            assert new[name] == pytest.approx(old[name], rel=within), (old["step"], name)


def test_an_older_run_is_exported(workdir):
    """Its average, in Hugging Face's layout, is read back bit for bit."""
    assert from_run("subword", workdir / "exported") == "llama"
    for a, b in zip(
        jax.tree.leaves(load(workdir / "exported").model), jax.tree.leaves(load_model("subword")[0]), strict=True
    ):
        np.testing.assert_array_equal(a, b)
