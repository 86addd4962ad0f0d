"""Dynamic tokenization of a run: a table and a plot of sequence length against bits per byte."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
from dynamic_subject import ENCODER, MODEL
from greedy import SOURCE
from ml_collections import ConfigDict

from lexitok import config as C
from lexitok.analysis import dynamic
from lexitok.analysis.dynamic import points_figure, points_table, row_maker, sweep, write_points
from lexitok.config.files import load_config
from lexitok.runs.run import Run
from lexitok.transfer.dynamic.rows import HypernetworkRows
from lexitok.transfer.errors import TransferError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose model need not be read, and two sources."""
    monkeypatch.setattr("lexitok.transfer.dynamic.batches._LENGTHS", 1)
    monkeypatch.setattr(dynamic, "load_model", lambda path: (MODEL, ENCODER))
    for folder in ("en", "de"):
        (tmp_path / folder).mkdir()
        for i in range(20):
            text = "the catcat in the inner hat; " if folder == "en" else f"123123 in {i} inner "
            (tmp_path / folder / f"{i}.txt").write_text(text * 3)
    small = ["data.rows=2", "data.symbols=24", f"data.cache={tmp_path}/cache"]
    config = load_config("configs/subword.py:tiny", small)
    return Run(tmp_path, "mine", config, (), {}, ""), [f"text:{tmp_path}/{folder}/*.txt" for folder in ("en", "de")]


def test_a_sweep_is_a_table_and_a_plot(run, tmp_path):
    """One line for each source and number of merges; without merges first, which others are compared with."""
    which, sources = run
    how = {"reach": "enter", "scope": "given", "words": "gpt2_marks", "overlap": 0.5, "max_bytes": 200}
    points = list(sweep(which, sources, [4], ["mean"], **how))
    assert [(point.source, point.merges) for point in points] == [(s, n) for s in sources for n in (0, 4)]
    assert [point.positions < 1 for point in points] == [False, True] * 2
    assert all(point.found.evaluation.summary()["fraction_scored"] == 1 for point in points)
    table = write_points(points, tmp_path / "out", "title")
    assert len(table.splitlines()) == 6 and points_table(points) == table == (tmp_path / "out/dynamic.md").read_text()
    assert (tmp_path / "out" / "dynamic.png").stat().st_size > 5000
    more = [dataclasses.replace(point, maker="first") for point in points]
    labels = points_figure(points + more).axes[0].get_legend_handles_labels()[1]
    assert labels == ["en, mean", "en, first", "de, mean", "de, first"]


def test_makers_are_named_right(run, monkeypatch):
    """A method, or a run that has a hypernetwork for the model's tokens."""
    which, sources = run
    with pytest.raises(TransferError, match="unknown method 'median'"):
        next(sweep(which, sources, [0], ["median"], reach="enter", scope="sequence", words="gpt2"))
    with pytest.raises(TransferError, match="runs/mine has a Table, and no hypernetwork"):
        row_maker("hypernetwork=runs/mine", MODEL, SOURCE)
    settings = ConfigDict(C.hypernetwork())
    other = SimpleNamespace(interface=SimpleNamespace(c=settings, bind=len, vocabulary_size=300))
    asked = []
    monkeypatch.setattr(dynamic, "load_model", lambda path: (asked.append(path) or other, ENCODER))
    assert isinstance(row_maker("hypernetwork=runs/mine", MODEL, SOURCE), HypernetworkRows)
    assert asked == [Path("runs/mine")]
    settings.vocabulary_fingerprint = "0" * 64
    with pytest.raises(TransferError, match="the hypernetwork of runs/mine was made for other tokens"):
        row_maker("hypernetwork=runs/mine", MODEL, SOURCE)
    config = which.config.copy_and_resolve_references()
    with config.unlocked():
        config.text.kind = "bytes"
    with pytest.raises(TransferError, match="only subword models have tokens to merge"):
        next(sweep(dataclasses.replace(which, config=config), sources, [0], ["mean"], reach="enter", scope="batch"))
