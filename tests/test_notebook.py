"""The notebook runs from top to bottom on a checkpoint of a real, tiny training run."""

import ast
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from samples import small_config

NOTEBOOK = Path(__file__).parents[1] / "experiments" / "notebooks" / "inspect_run.ipynb"


def cells():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_short_and_without_outputs():
    """Its cells show how the public functions are used; outputs in the repository are noise in every diff."""
    notebook = cells()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
            ast.parse(cell.source)
            assert len(cell.source.splitlines()) <= 10
            assert "._" not in cell.source  # nothing private


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from lexitok.training.loop import train

    root = tmp_path_factory.mktemp("notebook")
    (root / "texts").mkdir()
    for i in range(40):
        (root / "texts" / f"{i}.txt").write_text(f"Chapter {i}. The cat sat on the mat, and the dog saw the cat.\n" * 4)
    config = small_config("hat_v2")
    config.name = "tiny"
    config.data.source, config.data.cache = f"text:{root}/texts/*.txt", str(root / "cache")
    config.data.rows, config.data.symbols, config.data.units, config.data.packing_bins = 8, 64, 32, 8
    config.train.steps, config.train.log_every, config.train.eval_every = 4, 1, 2
    config.train.checkpoint_every = 4
    train(config, root / "run")
    return root / "run"


def test_the_notebook_runs_on_a_tiny_run(run, monkeypatch):
    """A notebook that nobody runs is broken at the next rename."""
    monkeypatch.setenv("LEXITOK_RUN", str(run))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("IPYTHONDIR", str(run / "ipython"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = cells()
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
    shown = "".join(
        str(output.get("text", "")) + "".join(str(v) for v in output.get("data", {}).values())
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))
    for expected in ("tiny: byte_units, 260 symbols, boundary lagged", "| backbone |", "lexitok-surprisal", "| **`"):
        assert expected in shown
    assert "stderr" not in {output.get("name") for cell in notebook.cells for output in cell.get("outputs", [])}
