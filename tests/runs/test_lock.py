"""One run at a time in a directory; a dead one does not hold it."""

import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from lexitok.runs import lock
from lexitok.runs.lock import FILE, SILENT, Lock, RunInUseError

HOLDS = """
    import sys, time
    from lexitok.runs.lock import Lock

    Lock(sys.argv[1]).take()
    print("taken", flush=True)
    time.sleep(60)
"""


def write_lock(folder: Path, *, silent: float = 0.0, **changes) -> Path:
    """The lock of this process with other fields, last touched so many seconds ago."""
    file = folder / FILE
    file.write_text(json.dumps(dataclasses.asdict(lock._this_process()) | changes))
    os.utime(file, (time.time() - silent,) * 2)
    return file


def test_a_second_one_is_refused_until_the_first_lets_go(tmp_path):
    """The message says who it is, where, since when, and which file says so."""
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.take()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(RunInUseError) as caught:
        second.take()
    said = (str(os.getpid()), platform.node(), json.loads(before)["since"], str(tmp_path / FILE))
    assert all(part in str(caught.value) for part in said)
    second.release()
    assert (tmp_path / FILE).read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    first.check()
    first.release()
    second.take()
    second.release()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reaped", [True, False])
def test_a_killed_process_holds_nothing(tmp_path, reaped):
    """A run that got SIGKILL is started again at once; also while it is a zombie that nobody has waited for."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDS), tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "taken\n"
    with pytest.raises(RunInUseError, match=f"process {process.pid} on"):
        Lock(tmp_path).take()
    process.send_signal(signal.SIGKILL)
    if reaped:
        process.wait()
    else:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    mine = Lock(tmp_path)
    mine.take()
    mine.check()
    mine.release()
    process.communicate()


@pytest.mark.parametrize(
    ("holder", "held"),
    [
        ({}, True),
        ({"started": "1"}, False),  # a process id that was given to another since
        ({"pid": 2**22 + 1}, False),
        ({"silent": 10 * SILENT}, True),  # it stands still, but it is there
        ({"machine": "another", "silent": SILENT / 2}, True),
        ({"machine": "another", "silent": 2 * SILENT}, False),
    ],
)
def test_when_a_lock_is_believed(tmp_path, holder, held):
    """Here the process says it; elsewhere only the time since the file was touched can."""
    write_lock(tmp_path, **holder)
    if held:
        with pytest.raises(RunInUseError, match="is at work there since"):
            Lock(tmp_path).take()
        return
    mine = Lock(tmp_path)
    mine.take()
    mine.release()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}'])
def test_a_lock_that_was_cut_is_believed_for_a_while(tmp_path, content):
    """Its process may be about to write it, or was killed before it did."""
    file = tmp_path / FILE
    file.write_bytes(content)
    with pytest.raises(RunInUseError, match="cannot be read"):
        Lock(tmp_path).take()
    os.utime(file, (time.time() - 2 * SILENT,) * 2)
    Lock(tmp_path).take()
    file.unlink()


def test_one_of_many_gets_a_stale_lock(tmp_path):
    """A scheduler that starts a job twice after a crash must not get two runs."""
    for _ in range(20):
        write_lock(tmp_path, started="1")
        locks, taken, barrier = [Lock(tmp_path) for _ in range(6)], [], threading.Barrier(6)

        def take(mine, taken=taken, barrier=barrier):
            barrier.wait()
            try:
                mine.take()
                taken.append(mine)
            except RunInUseError:
                pass

        threads = [threading.Thread(target=take, args=(mine,)) for mine in locks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken[0].check()
        taken[0].release()
        assert not list(tmp_path.iterdir())


def test_a_process_that_was_killed_while_it_took_over_holds_nothing(tmp_path):
    """The file that lets one process at a time look has an owner, too."""
    write_lock(tmp_path, started="1").rename(tmp_path / f".{FILE}.guard.partial")
    write_lock(tmp_path, started="1")
    mine = Lock(tmp_path)
    mine.take()
    mine.release()
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    """Buckets that are mounted have none."""

    def no_links(*_):
        raise OSError("Operation not supported")

    monkeypatch.setattr(lock.os, "link", no_links)
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.take()
    with pytest.raises(RunInUseError, match="is in use"):
        second.take()
    first.release()
    second.take()
    second.release()
    assert not list(tmp_path.iterdir())


def test_it_is_touched_and_a_lost_one_is_found_out(tmp_path, monkeypatch):
    """Who stood still so long that another took over must not write any more."""
    monkeypatch.setattr(lock, "BEAT", 0.02)
    mine = Lock(tmp_path)
    mine.take()
    file = tmp_path / FILE
    os.utime(file, (0, 0))
    deadline = time.monotonic() + 10
    while file.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert time.time() - file.stat().st_mtime < SILENT
    theirs = write_lock(tmp_path, token="another").read_bytes()
    with pytest.raises(RunInUseError, match="no longer this process's"):
        mine.check()
    mine.release()
    assert file.read_bytes() == theirs
