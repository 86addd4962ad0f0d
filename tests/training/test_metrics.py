"""Metrics and progress: what is written, when it is read, and what a broken run says."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lexitok.runs.metrics import MetricsError, MetricWriter, read_metrics
from rich.console import Console

from lexitok.training.metrics import FiniteGuard, Late, NonFiniteError
from lexitok.training.progress import Progress


def write(workdir, steps, resumed_from=None):
    with MetricWriter(workdir, resumed_from=resumed_from) as writer:
        for step in steps:
            writer.write(step, {"loss": jnp.float32(1 / step), "tokens": np.int64(step)})
        return writer.history


def test_rows_are_json_lines_and_in_memory(tmp_path):
    """Any tool reads one JSON object a line; a notebook reads the history of the run at hand."""
    history = write(tmp_path, [1, 3])
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == history == read_metrics(tmp_path)
    assert rows[1] == {"step": 3, "loss": float(np.float32(1 / 3)), "tokens": 3}
    assert any((tmp_path / "tensorboard").iterdir())


def test_lines_are_flushed(tmp_path):
    """A run that is killed has written what it had read."""
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 2.0})
        assert len(read_metrics(tmp_path)) == 1


@pytest.mark.parametrize("cut_off", ["", '{"step": 5, "lo', '{"step": 5}'])
def test_resumed_file_is_that_of_an_uninterrupted_run(tmp_path, cut_off):
    """Steps that are run again must not be there twice, nor half a line of the killed run."""
    write(tmp_path / "whole", range(1, 9))
    write(tmp_path / "resumed", range(1, 6))
    with (tmp_path / "resumed" / "metrics.jsonl").open("a") as file:
        file.write(cut_off)
    history = write(tmp_path / "resumed", range(4, 9), resumed_from=3)
    whole, resumed = (tmp_path / name / "metrics.jsonl" for name in ("whole", "resumed"))
    assert whole.read_bytes() == resumed.read_bytes()
    assert history == read_metrics(tmp_path / "whole")  # plots at the end show all of it


def test_a_run_from_the_start_keeps_nothing(tmp_path):
    """Killed before its first checkpoint, a run begins again, and so do its metrics."""
    write(tmp_path, [1, 2])
    write(tmp_path, [1])
    assert [row["step"] for row in read_metrics(tmp_path)] == [1]


def test_a_damaged_line_is_named(tmp_path):
    """A line in the middle that is no JSON was not cut off by a kill: somebody has to look."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnothing\n{"step": 2}\n')
    with pytest.raises(MetricsError, match=r"metrics\.jsonl:2: "):
        read_metrics(tmp_path)


def test_only_single_numbers(tmp_path):
    """A vector of losses is a mistake, named."""
    with (
        MetricWriter(tmp_path) as writer,
        pytest.raises(ValueError, match=r"'loss' is not a single number: shape \(2,\)"),
    ):
        writer.write(1, {"loss": np.zeros(2)})


def test_late_reads_the_step_before_without_implicit_transfers():
    """The host must not wait for the step that it has just dispatched, nor copy behind the transfer guard's back."""
    double = jax.jit(lambda x: {"loss": 2.0 * x})
    inputs = [jax.device_put(np.float32(i)) for i in range(3)]
    late, seen = Late(), []
    with jax.transfer_guard("disallow"):
        for step, x in enumerate(inputs):
            seen.append(late.push(step, double(x)))
        seen.append(late.flush())
    assert seen[0] is None and [s and (s[0], float(s[1]["loss"])) for s in seen[1:]] == [(0, 0.0), (1, 2.0), (2, 4.0)]
    assert isinstance(seen[1][1]["loss"], np.ndarray | np.generic)
    assert late.flush() is None


def test_guard_names_the_steps():
    """Metrics are read now and then: the message says between which steps it broke, and what to do."""
    guard = FiniteGuard(start=40)
    guard.check(50, {"loss": np.float32(1.0), "grad_norm": 2.0, "other": float("nan")})
    with pytest.raises(NonFiniteError, match=r"grad_norm=inf at step 60; .* step 50, .* steps 51 to 60"):
        guard.check(60, {"loss": 1.0, "grad_norm": float("inf")})
    with pytest.raises(NonFiniteError, match="steps 41 to 45"):
        FiniteGuard(start=40).check(45, {"loss": float("nan"), "grad_norm": 1.0})


def shown(terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with Progress(100, name="train hat", console=console) as progress:
        for step in range(1, 101):
            progress.update(step, {"loss": 1 / step, "bytes/s": 12345} if step % 10 == 0 else None)
    return out.getvalue()


def test_progress_is_lines_where_there_is_no_terminal():
    """A log of a thousand bars is no log: the first numbers, the last, and one now and then."""
    lines = shown(terminal=False).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("train hat 10/100  loss 0.1  bytes/s 12345")
    assert lines[1].startswith("train hat 100/100  loss 0.01")


def test_progress_is_a_bar_on_a_terminal():
    """With the steps and the newest numbers."""
    text = shown(terminal=True)
    assert "100/100" in text and "loss 0.01" in text
