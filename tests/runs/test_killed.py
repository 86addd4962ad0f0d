"""A run that is killed at any moment of its start or its end can be read, and started again."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from lexitok.config import default_config
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.directory import RunDirectory, read_history
from lexitok.runs.run import read_run

# Goes through a run's writes twice, the second time with other settings and killed before the n-th call that changes
# something on the disk. Children are forked, so that everything is imported once.
KILLED = """
    import functools, os, signal, sys
    from pathlib import Path

    from lexitok.config import default_config
    from lexitok.runs.checkpoints.files import RunRecord
    from lexitok.runs.directory import RunDirectory
    from lexitok.runs.documents import DocumentScore, write_documents
    from lexitok.runs.metrics import MetricWriter

    def work(path, step):
        config = default_config()
        config.train.steps = 10 + step
        with RunDirectory(path, RunRecord(config, b"vocabulary")) as directory:
            directory.begin(step)
            with MetricWriter(path, resumed_from=step or None) as writer:
                writer.write(step + 1, {"train/bpb": 1.0})
            write_documents(path / "documents.jsonl", [DocumentScore(9, 9, 2.0 + step, 0.1, 1.0, 2, 1, False)] * 50)
            directory.write("result.json", '{"bpb": %d}' % step)

    def killed_before(n):
        calls = 0
        for name in ("link", "fsync", "replace", "unlink", "mkdir"):
            def call(*arguments, plain=getattr(os, name), **named):
                nonlocal calls
                calls += 1
                if calls == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return plain(*arguments, **named)
            setattr(os, name, call)

    def child(act):
        pid = os.fork()
        if not pid:
            try:
                act()
            finally:
                os._exit(0)
        return os.waitpid(pid, 0)[1]

    root, n = Path(sys.argv[1]), 0
    while True:
        n += 1
        path = root / str(n)
        assert child(lambda: work(path, 0)) == 0
        if child(lambda: (killed_before(n), work(path, 1))) != signal.SIGKILL:
            break
"""


def test_killed_at_any_moment_a_run_is_whole_and_goes_on(tmp_path):
    """Each file has its old or its new content, history and config agree, and nobody holds the directory."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(KILLED), tmp_path],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    paths = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(paths) > 15
    for path in paths:
        _check(path)


def _check(path: Path) -> None:
    run = read_run(path)
    steps = run.config.train.steps
    assert steps in (10, 11) and run.result in ({"bpb": 0}, {"bpb": 1}), path.name
    assert (path / "vocabulary.model").read_bytes() == b"vocabulary"
    documents = run.documents()
    assert documents is not None and set(documents.nats) in ({2.0}, {3.0}) and len(documents) == 50
    assert [line["step"] for line in run.metrics] in ([1], [1, 2])
    history = read_history(path)
    assert steps == 10 or [line["new"] for line in history] == [11], path.name
    config = default_config()
    config.train.steps = 11
    with RunDirectory(path, RunRecord(config, b"vocabulary")) as directory:
        directory.begin(1)
    assert json.loads((path / "config.json").read_text())["train"]["steps"] == 11
    assert [line["new"] for line in read_history(path)] == [11]
    assert not list(path.glob(".*")) and not (path / "running.json").exists()
