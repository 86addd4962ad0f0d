"""A training that is refused changes nothing in its directory, and one that goes on says what has changed."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from ml_collections import ConfigDict
from samples import TEXT, small_config

from lexitok.config.files import override
from lexitok.runs.directory import read_history
from lexitok.runs.lock import Lock
from lexitok.runs.metrics import read_metrics
from lexitok.runs.run import read_config, read_run
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.loop import train

CHANGED = [  # a setting, and what the refusal says of it
    ("model.backbone.rope_base=500000", "model.backbone.rope_base: recorded 10000.0, this run 500000.0"),
    ("optimizer.lr=0.5", "optimizer.lr: recorded 0.003, this run 0.5"),
    ("optimizer.name=muon", "optimizer.name: recorded 'adamw', this run 'muon'"),
    ("train.ema=0.9", "train.ema: recorded 0.0, this run 0.9"),
    ("seed=7", "seed: recorded 0, this run 7"),
    ("data.symbols=64", "data.symbols: recorded 128, this run 64"),
    ("text.vocabulary.size=310", "text.vocabulary.size: recorded 300, this run 310"),
    ("text.vocabulary.path={other}", "another vocabulary than"),
    ("mesh.tensor=3", "multiple of 3 devices"),
    ("data.validation_split=nowhere", "nowhere"),
    ("train.start.run={nowhere}", "train.start.run: recorded '', this run"),
]


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder below, with what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> ConfigDict:
    """Of a tiny subword model on texts of its own."""
    root = tmp_path_factory.mktemp("texts")
    for i in range(24):
        (root / f"{i}.txt").write_bytes(TEXT * 4)
    c = small_config("bytes")
    c.text.kind, c.text.vocabulary.size = "subword", 300
    c.data.source, c.data.cache = f"text:{root}/*.txt", str(root / "cache")
    c.data.rows, c.data.symbols, c.data.packing_bins = 8, 128, 8
    c.train.steps, c.train.eval_every, c.optimizer.warmup, c.eval.bytes = 2, 1, 0, 500
    return c


@pytest.fixture(scope="module")
def run(config, tmp_path_factory) -> Path:
    """A run that is done."""
    path = tmp_path_factory.mktemp("run") / "run"
    train(config, path)
    return path


def changed(config: ConfigDict, *assignments: str) -> ConfigDict:
    c = config.copy_and_resolve_references()
    override(c, assignments)
    return c


@pytest.mark.parametrize(("assignment", "message"), CHANGED)
def test_a_finished_run_is_not_written_over(config, run, tmp_path, assignment, message):
    """Its record would be of other weights; whatever the reason, the directory stays byte for byte what it was."""
    other = tmp_path / "other.model"
    if "{other}" in assignment:
        other.write_bytes(SentencePieceTokenizer.train([TEXT * 4], kind="bpe", size=310).to_bytes())
    before = snapshot(run)
    with pytest.raises(Exception, match=message) as caught:
        train(changed(config, assignment.format(other=other, nowhere=tmp_path / "nowhere")), run)
    assert type(caught.value).__module__.startswith("lexitok.")  # a line for the user, and no traceback
    assert snapshot(run) == before


def test_a_damaged_file_of_a_run_is_refused_before_anything_is_written(config, run):
    """Metrics that cannot be read would be cut off, and the run's curve with them."""
    metrics = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text("no JSON\n" + metrics)
    before = snapshot(run)
    with pytest.raises(ValueError, match=r"metrics.jsonl:1: no JSON object"):
        train(changed(config, "train.steps=3"), run)
    assert snapshot(run) == before
    (run / "metrics.jsonl").write_text(metrics)


def test_a_directory_in_use_is_left_alone(config, run):
    """The second of two trainings is refused, and the first's files are its own."""
    lock = Lock(run)
    lock.take()
    try:
        before = snapshot(run)
        with pytest.raises(RuntimeError, match=f"is in use: process {os.getpid()} on"):
            train(config, run)
        assert snapshot(run) == before
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.start.run={nowhere}", "no checkpoints in"),
        ("mesh.tensor=3", "multiple of 3 devices"),
        ("data.validation_split=nowhere", "nowhere"),
        ("text.vocabulary.size=100000", "vocabulary|size"),
        ("optimizer.frozen=('nowhere',)", "the model has no part 'nowhere'"),
    ],
)
def test_a_first_start_that_is_refused_leaves_no_directory(config, tmp_path, assignment, message):
    """What is left would be taken for a run, its vocabulary for the next start's."""
    with pytest.raises(ValueError if "start" not in assignment else RuntimeError, match=message):
        train(changed(config, assignment.format(nowhere=tmp_path / "nowhere")), tmp_path / "a" / "run")
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_killed_before_its_first_checkpoint_is_one(config, tmp_path):
    """Its record says what it is: another's settings are refused, its own begin again from the start."""
    train(config, tmp_path / "run")
    whole = [{k: v for k, v in row.items() if k == "train/loss"} for row in read_metrics(tmp_path / "run")]
    for step in (tmp_path / "run" / "checkpoints").iterdir():
        for file in sorted(step.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        step.rmdir()
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="seed: recorded 0, this run 7"):
        train(changed(config, "seed=7"), tmp_path / "run")
    assert snapshot(tmp_path) == before
    train(config, tmp_path / "run")
    again = [{k: v for k, v in row.items() if k == "train/loss"} for row in read_metrics(tmp_path / "run")]
    assert again == whole


@pytest.mark.slow
def test_a_run_goes_on_with_what_may_change(config, tmp_path):
    """Steps, evaluation, logging and the mesh; the record is of now, and the history has what was before."""
    path = tmp_path / "run"
    train(config, path)
    result = train(changed(config, "train.steps=3", "train.log_every=1", "eval.bytes=900", "mesh.fsdp=2"), path)
    assert result["steps"] == 3 and read_config(path).train.steps == 3
    history = {line["key"]: (line["step"], line["old"], line["new"]) for line in read_history(path)}
    assert history == {
        "train.steps": (2, 2, 3),
        "train.log_every": (2, 10, 1),
        "eval.bytes": (2, 500, 900),
        "mesh.fsdp": (2, 1, 2),
    }
    assert read_run(path).result["steps"] == 3 and not (path / "running.json").exists()
    assert json.loads((path / "result.json").read_text()) == result
