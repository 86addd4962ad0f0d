"""A run's directory is true: what may change is written down, what may not is refused, without a trace."""

import hashlib
import json
from pathlib import Path

import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from lexitok.config import default_config
from lexitok.config.files import flatten, from_json, override, to_json
from lexitok.runs.changes import MAY_CHANGE, changes, may_change
from lexitok.runs.checkpoints.files import CheckpointMismatchError, RunRecord, step_folder
from lexitok.runs.checkpoints.manager import Checkpoints
from lexitok.runs.directory import RunDirectory, check_goes_on, read_history
from lexitok.runs.lock import RunInUseError
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer

TEXT = (b"The quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow. " * 30,) * 5


def changed(*assignments: str, config: ConfigDict | None = None) -> ConfigDict:
    c = (config or default_config()).copy_and_resolve_references()
    override(c, assignments)
    return c


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder below, with what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def begin(path: Path, record: RunRecord, step: int = 0, *, save: bool = False) -> None:
    with RunDirectory(path, record) as directory:
        directory.begin(step)
        if save:
            with Checkpoints(path, record) as checkpoints:
                checkpoints.save(step, {"model": {"w": jnp.ones(4)}})


def test_every_setting_either_may_change_or_may_not():
    """Each pattern stands for settings that there are, and none of them for one that makes the numbers."""
    keys = [*flatten(default_config()), "model.interface.font"]
    for pattern in MAY_CHANGE:
        assert any(may_change(key) for key in keys if key.startswith(pattern.removesuffix("*"))) or pattern[0] == "*"
    fixed = ("seed", "optimizer.lr", "data.source", "data.rows", "data.symbols", "text.splitter", "train.ema")
    assert not any(may_change(key) for key in (*fixed, "train.z_loss", "model.stage.backbone.rope_base"))


def test_changes_are_told_apart():
    """By dotted name, old value first."""
    free, fixed = changes(
        default_config(), changed("train.steps=7", "optimizer.lr=1", "model.stage.encoder.remat=full")
    )
    assert free == {"train.steps": (1000, 7), "model.stage.encoder.remat": ("none", "full")}
    assert fixed == {"optimizer.lr": (3e-3, 1.0)}


@pytest.mark.parametrize("checkpoint", [True, False])
def test_what_may_change_is_kept_as_history(tmp_path, checkpoint):
    """`config.json` has the settings of now, and `history.jsonl` when each of them was another."""
    begin(tmp_path, RunRecord(default_config()), save=checkpoint)
    begin(tmp_path, RunRecord(changed("train.steps=2000", "eval.overlap=0.25")), 500)
    begin(tmp_path, RunRecord(changed("train.steps=2000", "eval.overlap=0.25")), 600)  # nothing has changed
    begin(tmp_path, RunRecord(changed("train.steps=3000", "eval.overlap=0.25")), 700)
    said = [(line["step"], line["key"], line["old"], line["new"]) for line in read_history(tmp_path)]
    assert said == [
        (500, "eval.overlap", 0.5, 0.25),
        (500, "train.steps", 1000, 2000),
        (700, "train.steps", 2000, 3000),
    ]
    assert from_json((tmp_path / "config.json").read_text()).train.steps == 3000


@pytest.mark.parametrize("checkpoint", [True, False])
@pytest.mark.parametrize(
    "key", ["optimizer.lr=0.5", "seed=3", "data.source=other", "train.ema=0.5", "model.stage.backbone.rope_base=5e5"]
)
def test_what_may_not_change_is_refused_and_nothing_is_touched(tmp_path, checkpoint, key):
    """By the recorded config alone too: a run that was killed before its first checkpoint is one already."""
    begin(tmp_path, RunRecord(default_config()), save=checkpoint)
    before = snapshot(tmp_path)
    with pytest.raises(CheckpointMismatchError, match=f"{key.split('=')[0]}: recorded .*, this run .*"):
        begin(tmp_path, RunRecord(changed(key)), 10)
    assert snapshot(tmp_path) == before


def test_the_checkpoint_is_believed_before_the_config(tmp_path):
    """A `config.json` that an older version had written over is put right by the run's own settings."""
    begin(tmp_path, RunRecord(default_config()), save=True)
    (tmp_path / "config.json").write_text(to_json(changed("model.stage.backbone.rope_base=5e5")))
    with pytest.raises(CheckpointMismatchError, match="rope_base"):
        begin(tmp_path, RunRecord(changed("model.stage.backbone.rope_base=5e5")), 10)
    begin(tmp_path, RunRecord(default_config()), 10)
    assert from_json((tmp_path / "config.json").read_text()).model.stage.backbone.rope_base == 10_000
    assert read_history(tmp_path) == []


def test_another_vocabulary_is_refused(tmp_path):
    """Be it one that was made anew, or one that is named: the run's own would be used without a word."""
    one, other = (SentencePieceTokenizer.train(TEXT, kind="bpe", size=n).to_bytes() for n in (300, 310))
    run, named = tmp_path / "run", tmp_path / "named.model"
    begin(run, RunRecord(default_config(), one))
    before = snapshot(run)
    with pytest.raises(CheckpointMismatchError, match="vocabulary fingerprint"):
        begin(run, RunRecord(default_config(), other))
    named.write_bytes(other)
    with pytest.raises(CheckpointMismatchError, match=r"another vocabulary than .*named.model"):
        begin(run, RunRecord(changed(f"text.vocabulary.path={named}"), one))
    assert snapshot(run) == before
    named.write_bytes(one)
    begin(run, RunRecord(changed(f"text.vocabulary.path={named}"), one))


@pytest.mark.parametrize("there", [True, False])
def test_a_start_that_fails_before_it_begins_leaves_nothing(tmp_path, there):
    """Not even the folders that it would have been in."""
    path = tmp_path / "a" / "run"
    if there:
        path.mkdir(parents=True)
    before = snapshot(tmp_path)
    record = RunRecord(default_config(), b"")
    with pytest.raises(OSError, match="no such source"), RunDirectory(path, record), Checkpoints(path, record):
        raise OSError("no such source")
    assert snapshot(tmp_path) == before


def test_a_second_run_is_refused(tmp_path):
    """Two runs would write over each other's files, and both end well."""
    record = RunRecord(default_config())
    with RunDirectory(tmp_path, record) as directory:
        directory.begin(0)
        before = snapshot(tmp_path)
        with pytest.raises(RunInUseError, match="is in use: process"):
            begin(tmp_path, record)
        assert snapshot(tmp_path) == before
        directory.write("result.json", "{}")
    assert not (tmp_path / "running.json").exists()


def test_a_run_that_lost_its_directory_stops(tmp_path):
    """After another took over, nothing of the first may get into its files."""
    with RunDirectory(tmp_path, RunRecord(default_config())) as directory:
        directory.begin(0)
        lock = json.loads((tmp_path / "running.json").read_text()) | {"token": "another"}
        (tmp_path / "running.json").write_text(json.dumps(lock))
        for write in (directory.check, lambda: directory.write("result.json", "{}")):
            with pytest.raises(RunInUseError, match="no longer this process's"):
                write()
        assert not (tmp_path / "result.json").exists()
    assert (tmp_path / "running.json").exists()


def test_what_a_killed_run_left_half_written_is_cleared(tmp_path):
    """At the next start, and no sooner."""
    (tmp_path / ".config.json.0123.partial").write_text("{")
    begin(tmp_path, RunRecord(default_config()))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_damaged_checkpoint_does_not_hide_the_one_before(tmp_path):
    """Settings are compared to the newest record that can be read."""
    record = RunRecord(default_config())
    with Checkpoints(tmp_path, record) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, {"model": {"w": jnp.ones(4)}})
    (step_folder(tmp_path, 2) / "extra" / "metadata").write_text("{")
    with pytest.raises(CheckpointMismatchError, match="seed: recorded 0, this run 5"):
        check_goes_on(tmp_path, RunRecord(changed("seed=5")))
