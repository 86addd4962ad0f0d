"""Dynamic tokenization of a run: a table and a plot of sequence length against bits per byte."""

import dataclasses

import jax
import pytest
from flax import nnx
from greedy import SOURCE
from samples import TEXT

from lexitok.analysis.dynamic import points_figure, points_table, row_maker, sweep, write_points
from lexitok.config.files import load_config
from lexitok.data.encoders import SubwordEncoder
from lexitok.hub.conversion import write_run
from lexitok.models.build import model_for
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.run import read_run
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.transfer.errors import TransferError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a model that was drawn and never trained, and two sources."""
    root = tmp_path_factory.mktemp("dynamic")
    for folder in ("en", "de"):
        (root / folder).mkdir()
        for i in range(20):
            (root / folder / f"{i}.txt").write_bytes((b"jugs jugs " if folder == "en" else b"box ") + TEXT[i % 5 :])
    small = [*(f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16"))]
    small += ["data.rows=2", "data.symbols=64", f"data.cache={root}/cache", "text.vocabulary.size=300"]
    config = load_config("configs/subword.py:tiny", small)
    tokenizer = SentencePieceTokenizer.train([TEXT * 2], kind="bpe", size=300)
    model = jax.jit(model_for(config, SubwordEncoder(tokenizer)))(nnx.Rngs(params=0))
    write_run(root / "run", RunRecord(config, tokenizer.to_bytes(), {}), model)
    return read_run(root / "run"), [f"text:{root}/{folder}/*.txt" for folder in ("en", "de")]


def test_a_sweep_is_a_table_and_a_plot(run, tmp_path, monkeypatch):
    """One line for each source and number of merges; without merges first, which others are compared with."""
    monkeypatch.setattr("lexitok.transfer.dynamic.batches._LENGTHS", 1)
    which, sources = run
    points = list(sweep(which, sources, [0, 8], ["mean"], reach="enter", scope="given", max_bytes=300))
    assert [(point.source, point.merges) for point in points] == [(s, n) for s in sources for n in (0, 8)]
    assert [point.positions == 1 for point in points] == [True, False] * 2
    assert all(point.positions <= 1 and point.found.evaluation.summary()["fraction_scored"] == 1 for point in points)
    table = write_points(points, tmp_path / "out", "title")
    assert len(table.splitlines()) == 6 and points_table(points) == table == (tmp_path / "out/dynamic.md").read_text()
    assert (tmp_path / "out" / "dynamic.png").stat().st_size > 5000
    more = [dataclasses.replace(point, maker="first") for point in points]
    labels = points_figure(points + more).axes[0].get_legend_handles_labels()[1]
    assert labels == ["en, mean", "en, first", "de, mean", "de, first"]


def test_makers_are_named_right(run):
    """A method, or a run that has a hypernetwork."""
    which, sources = run
    with pytest.raises(TransferError, match="unknown method 'median'"):
        next(sweep(which, sources, [0], ["median"], reach="enter", scope="sequence"))
    with pytest.raises(TransferError, match="has a Table, and no hypernetwork"):
        row_maker(f"hypernetwork={which.path}", None, SOURCE)
