"""Whole runs: a killed one resumes to the same numbers, and what it writes is what readers expect."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lexitok.config.files import load_config, override
from lexitok.evals import read_documents
from lexitok.runs.metrics import read_metrics
from lexitok.training.loop import train
from lexitok.training.metrics import NonFiniteError

SMALL = [
    "model.stage.backbone.D=16",
    "model.stage.backbone.L=1",
    "model.stage.backbone.H=2",
    "model.stage.backbone.K=2",
    "model.stage.backbone.N=8",
    "model.stage.backbone.F=16",
    *(
        f"model.stage.{s}.{k}"
        for s in ("encoder", "decoder")
        for k in ("D=8", "L=1", "H=2", "K=2", "N=4", "F=8", "window=16")
    ),
    "data.rows=8",
    "data.symbols=128",
    "data.units=48",
    "data.packing_bins=4",
    "text.max_unit_bytes=15",
    "optimizer.warmup=2",
    "optimizer.lr=0.02",
    "train.steps=14",
    "train.log_every=2",
    "train.eval_every=7",
    "train.checkpoint_every=5",
    "eval.bytes=2000",
]
TIMES = ("seconds", "speed/", "eval/bytes_per_second")

DRIVER = """
import sys, jax
jax.config.update("jax_disable_most_optimizations", True)
from lexitok.config.files import load_config
from lexitok.training.loop import train
train(load_config("configs/quickstart.py:hat", sys.argv[2:]), sys.argv[1])
"""


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    """Sixty small documents in several scripts."""
    folder = tmp_path_factory.mktemp("text")
    for i in range(60):
        words = ["naïve", "Größe", "world", "世界", f"x{i}", "foo_bar", "🌝", "return"]
        body = " ".join(words[(i * j) % len(words)] for j in range(1, 30 + i))
        (folder / f"{i}.txt").write_text(body + "\n")
    return folder


def settings(text: Path, *more: str) -> list[str]:
    return [*SMALL, f"data.source=text:{text}/*.txt", f"data.cache={text.parent / 'cache'}", *more]


def start(workdir: Path, *overrides: str) -> subprocess.Popen:
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(workdir), *overrides],
        env={**os.environ, **cache, "JAX_PLATFORMS": "cpu"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-3000:]
    return errors


def numbers(workdir: Path) -> list[dict]:
    """The rows of a run's metrics without those that are times."""
    return [{k: v for k, v in row.items() if not k.startswith(TIMES)} for row in read_metrics(workdir)]


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_numbers(text, tmp_path):
    """SIGKILL at a moment that nobody chose changes no metric of the run, to the last bit, nor its result."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole, *settings(text)))
    process = start(killed, *settings(text))
    rng = np.random.default_rng()
    wanted = int(rng.integers(6, 13))
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        rows = read_metrics(killed) if (killed / "metrics.jsonl").exists() else []
        if rows and rows[-1]["step"] >= wanted:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finish(start(killed, *settings(text)))
    assert numbers(killed) == numbers(whole), f"killed after step {wanted}"
    results = [json.loads((run / "result.json").read_text()) for run in (killed, whole)]
    assert results[0]["bpb"] == results[1]["bpb"] and results[0]["train_bytes"] == results[1]["train_bytes"]


def test_a_run_scores_every_byte_and_learns(text, tmp_path):
    """On eight devices: nothing is dropped, the loss falls, files are what readers expect."""
    config = load_config("configs/quickstart.py:hat", settings(text, "mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2"))
    result = train(config, tmp_path)
    rows = read_metrics(tmp_path)
    training = [row for row in rows if "train/bpb" in row]
    assert training[-1]["train/bpb"] < training[0]["train/bpb"] - 1
    assert all(row["data/bytes_dropped"] == 0 and row["data/fraction_scored"] == 1 for row in training)
    assert training[-1]["bytes"] == training[-1]["data/bytes"] == result["train_bytes"]
    assert result["fraction_scored"] == 1
    assert {row["step"] for row in rows if "eval/bpb" in row} == {7, 14}
    assert json.loads((tmp_path / "result.json").read_text()) == result
    documents = read_documents(tmp_path / "documents.jsonl")
    assert documents.bytes.sum() == result["bytes"] and 1 < result["bytes_per_unit"] < 15
    assert documents.nats.sum() / math.log(2) / result["bytes"] == pytest.approx(result["bpb"])
    assert result["train_flops"] > 14 * 3 * 2 * 8 * 128 * 8 * 256  # the read-out alone
    assert sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()) == [10, 14]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(text, tmp_path):
    """A run that has broken says at which step, and does not go on for days."""
    config = load_config(
        "configs/quickstart.py:hat", settings(text, "optimizer.clip=0", "train.eval_every=0", "train.steps=3")
    )
    override(config, ["optimizer.lr=1e30", "mesh.data=8"])
    with pytest.raises(NonFiniteError, match=r"at step \d+; all was finite at step \d+"):
        train(config, tmp_path)


def script(name: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, f"experiments/{name}.py", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.optimizer.lrr=1"], "did you mean 'lr'"),
        pytest.param(["--config.data.source=text:/nowhere/*.txt"], "/nowhere/*.txt", marks=pytest.mark.slow),
        pytest.param(["--config.mesh.tensor=3"], "multiple of 3 devices, there are 1", marks=pytest.mark.slow),
    ],
)
def test_what_a_user_mistypes_is_said_in_one_line(arguments, message, tmp_path):
    """No traceback for a mistake that the user can mend: one line that names it, and exit code 2."""
    done = script("train", "--config=configs/hat_v2.py:cpu", f"--workdir={tmp_path}", *arguments)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2 and len(lines) == 1 and message in lines[0], done.stderr[-2000:]
    assert "Traceback" not in done.stderr
