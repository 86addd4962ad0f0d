"""The notebooks run from top to bottom on checkpoints of real, tiny training runs."""

import ast
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from samples import small_config

from lexitok import config as C
from lexitok.training.loop import train

NOTEBOOKS = Path(__file__).parents[1] / "experiments" / "notebooks"


def cells(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_notebooks_are_short_and_without_outputs(name):
    """Their cells show how the public functions are used; outputs in the repository are noise in every diff."""
    notebook = cells(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
            ast.parse(cell.source)
            assert len(cell.source.splitlines()) <= 10
            assert "._" not in cell.source  # nothing private


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("notebook")
    (root / "texts").mkdir()
    for i in range(40):
        (root / "texts" / f"{i}.txt").write_text(f"Chapter {i}. The cat sat on the mat, and the dog saw the cat.\n" * 4)
    return root


def run(root, name, kind, interface=None):
    config = small_config(kind)
    config.name = name
    if interface is not None:
        config.model.interface = interface
    config.data.source, config.data.cache = f"text:{root}/texts/*.txt", str(root / "cache")
    config.data.rows, config.data.symbols, config.data.units, config.data.packing_bins = 8, 64, 32, 8
    config.train.steps, config.train.log_every, config.train.eval_every = 4, 1, 2
    config.train.checkpoint_every = 4
    train(config, root / name)
    return root / name


def shown(name, root, monkeypatch, **environment):
    """All that a notebook shows; there are no errors, and nothing was written to stderr."""
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
    monkeypatch.setenv("IPYTHONDIR", str(root / "ipython"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = cells(name)
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    assert "stderr" not in {output.get("name") for output in outputs}
    return "".join(
        str(output.get("text", "")) + "".join(str(v) for v in output.get("data", {}).values()) for output in outputs
    )


def test_inspect_run(root, monkeypatch):
    """A notebook that nobody runs is broken at the next rename."""
    text = shown("inspect_run", root, monkeypatch, LEXITOK_RUN=str(run(root, "tiny", "hat_v2")))
    for expected in ("tiny: byte_units, 260 symbols, boundary lagged", "| backbone |", "lexitok-surprisal", "| **`"):
        assert expected in text


def test_embeddings(root, monkeypatch):
    """The geometry of interfaces comes out of checkpoints, of those that have parameters and of those without."""
    arms = {"learned": C.table(), "codes": C.binary(), "random": C.lexinvariant()}
    runs = [str(run(root, name, "bytes", interface)) for name, interface in arms.items()]
    text = shown("embeddings", root, monkeypatch, LEXITOK_RUNS=" ".join(runs))
    for expected in (
        "learned: table, codes: binary, random: lexinvariant",
        "| codes | 260 of 260 | 1 |",
        "overlap",
    ):
        assert expected in text
