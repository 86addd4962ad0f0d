"""Files of a run are whole, whatever happens while they are written."""

import ast
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lexitok.runs import writing
from lexitok.runs.writing import clear_partial, write_whole

REPOSITORY = Path(__file__).parents[2]

# Killed at the moment that is named, in the middle of writing over a file.
KILLED = """
    import os, signal, sys
    from lexitok.runs import writing

    die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "before_sync":
        os.fsync = die
    else:
        os.replace = die
    writing.write_whole(sys.argv[1], "new" * 1000)
"""


def test_a_file_is_made_and_written_over(tmp_path):
    """Bytes as they are, text as UTF-8, and nothing beside them."""
    file = tmp_path / "a.json"
    write_whole(file, "naïve")
    assert file.read_bytes() == "naïve".encode()
    write_whole(file, b"\x00\xff")
    assert file.read_bytes() == b"\x00\xff" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("moment", ["before_sync", "before_replace"])
def test_a_killed_write_leaves_the_old_file(tmp_path, moment):
    """SIGKILL at any moment before the new file has its name: the old one is there, and what is left is cleared."""
    file = tmp_path / "config.json"
    write_whole(file, "old")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), file, moment], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert file.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    clear_partial(tmp_path)
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """A full disk is an error, and costs nothing that was there."""
    file = tmp_path / "config.json"
    write_whole(file, "old")

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, "new")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_files_folder_may_be_one_that_cannot_be_synced(tmp_path, monkeypatch):
    """Some shared file systems cannot bring a folder to the disk; the file is written all the same."""
    sync, calls = os.fsync, []

    def only_files(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError("Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(writing.os, "fsync", only_files)
    write_whole(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new" and len(calls) == 2


def test_nobody_else_writes_a_runs_files():
    """A new `path.write_text(...)` in these rooms would be a file that a crash cuts."""
    rooms = ("runs", "training", "evals", "distill", "transfer")
    found = []
    for file in (path for room in rooms for path in (REPOSITORY / "lexitok" / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("write_text", "write_bytes"):
                found.append(f"{file.name}:{node.lineno}")
    assert not found
