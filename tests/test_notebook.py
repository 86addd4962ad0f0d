"""The notebooks run from top to bottom on checkpoints of real, tiny training runs."""

import ast
import warnings
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from samples import small_config
from tiny_runs import subword_run, tokenizer_file
from traitlets.config import Config

from lexitok import config as C
from lexitok.training.loop import train
from lexitok.transfer.runs import transfer_run

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


def shown(name, monkeypatch, **environment):
    """All that a notebook shows; there are no errors, and nothing was written to stderr.

    Its cells run in this process, by IPython's own shell: a kernel of its own would import and compile all anew.
    """
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.display_formatter.active_types = shell.display_formatter.format_types  # as a notebook's
    shown = ""
    for cell in cells(name).cells:
        if cell.cell_type == "code":
            with capture_output() as captured, warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of what draws
                result = shell.run_cell(cell.source)
            result.raise_error()
            assert not captured.stderr
            rich = [output.data for output in captured.outputs]
            rich.append(shell.display_formatter.format(result.result)[0])  # what a notebook shows of the last line
            shown += captured.stdout + "".join(str(value) for data in rich for value in data.values())
    return shown


@pytest.mark.slow
def test_inspect_run(root, monkeypatch):
    """A notebook that nobody runs is broken at the next rename."""
    text = shown("inspect_run", monkeypatch, LEXITOK_RUN=str(run(root, "tiny", "hat_v2")))
    for expected in ("tiny: byte_units, 260 symbols, boundary lagged", "| backbone |", "lexitok-surprisal", "| **`"):
        assert expected in text


@pytest.mark.slow
def test_embeddings(root, monkeypatch):
    """The geometry of interfaces comes out of checkpoints, of those that have parameters and of those without."""
    arms = {"learned": C.table(), "codes": C.binary(), "random": C.lexinvariant()}
    runs = [str(run(root, name, "bytes", interface)) for name, interface in arms.items()]
    text = shown("embeddings", monkeypatch, LEXITOK_RUNS=" ".join(runs))
    for expected in (
        "learned: table, codes: binary, random: lexinvariant",
        "| codes | 260 of 260 | 1 |",
        "overlap",
    ):
        assert expected in text


def test_transfer(tmp_path, monkeypatch):
    """From a checkpoint and its provenance: what text costs under the new tokens."""
    run = subword_run(tmp_path)
    transfer_run(run, tokenizer_file(tmp_path, "bpe", 360), tmp_path / "new", method_in="mean")
    text = shown("transfer", monkeypatch, LEXITOK_TRANSFER=f"{run} {tmp_path / 'new'}", LEXITOK_BYTES="3000")
    for expected in (
        "run: 340 tokens; new: 360 tokens",
        "rows of the same bytes",
        "| made | English letters |",
        "made of",
    ):
        assert expected in text
    assert text.count("lexitok-surprisal") > 1
