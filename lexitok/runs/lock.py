"""One run at a time in a directory: a file there says who is at work, on any file system that several hosts share.

The file is made exclusively and touched every `BEAT` seconds. It is believed as long as its process may be alive:

- of a process of this machine (the same boot and the same space of process ids), as long as that process runs;
- of any other, until it was not touched for `SILENT` seconds, by this machine's clock; clocks have to agree to a
  minute.

So a run that was killed can be started again at once where it was, and elsewhere after `SILENT` seconds.
"""

import dataclasses
import json
import logging
import os
import platform
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from lexitok.runs.writing import write_whole

log = logging.getLogger(__name__)
FILE = "running.json"
BEAT = 15.0  # seconds
SILENT = 180.0  # seconds
_TRIES, _PAUSE = 50, 0.02  # seconds


class RunInUseError(RuntimeError):
    """A run directory that another process is at work in; the message says who, since when, and which file says so."""


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process that is at work in a run directory.

    Attributes:
      host: its name, for people.
      machine: the boot of the machine and the space of process ids that `pid` is in.
      pid: the process.
      started: when it started, in the machine's ticks since boot; empty where that cannot be known.
      since: when it began in this directory, UTC.
      token: of this holder alone.
    """

    host: str
    machine: str
    pid: int
    started: str
    since: str
    token: str

    def alive(self, silent: float) -> bool:
        """Whether it may be at work still; `silent`: seconds since the file was touched."""
        if self.machine != _machine():
            return silent < SILENT
        return _runs(self.pid, self.started)


class Lock:
    """The right to write to a run directory; `take` it, `release` it."""

    def __init__(self, folder: str | os.PathLike):
        """`folder`: of the run; it is there."""
        self.file = Path(folder) / FILE
        self._mine: Holder | None = None
        self._stop = threading.Event()

    def take(self) -> None:
        """Takes the lock.

        Raises:
          RunInUseError: another process has it.
        """
        mine = _this_process()
        for _ in range(_TRIES):
            if _alive(*_read(self.file)):
                raise RunInUseError(_in_use(self.file))
            if _create(self.file, mine):
                self._mine = mine
                threading.Thread(target=self._beat, args=(self._stop,), daemon=True).start()
                return
            self._clear_stale(mine)
        raise RunInUseError(f"{self.file} comes and goes: several processes begin there at once; start one of them")

    def check(self) -> None:
        """Raises a `RunInUseError` if the lock was lost: a process that stood still too long is taken for dead."""
        content, _ = _read(self.file)
        if self._mine is None or content != _to_json(self._mine):
            raise RunInUseError(
                f"{self.file} is no longer this process's: it was not touched for {SILENT:.0f} s, and another took "
                f"over ({content.decode(errors='replace') or 'nobody has it now'}). This run stops, lest both write"
            )

    def release(self) -> None:
        """Lets others have it; a lock that was lost is left alone."""
        self._stop.set()
        if self._mine is not None and _read(self.file)[0] == _to_json(self._mine):
            self.file.unlink(missing_ok=True)
        self._mine = None

    def _clear_stale(self, mine: Holder) -> None:
        """Removes the lock of a process that is dead.

        One process at a time looks and removes: else one could remove the lock that another has just made.
        """
        guard = self.file.with_name(f".{FILE}.guard.partial")
        if not _create(guard, mine):
            if not _alive(*_read(guard)):  # its process was killed just here
                guard.unlink(missing_ok=True)
            time.sleep(_PAUSE)
            return
        try:
            content, silent = _read(self.file)
            if silent is not None and not _alive(content, silent):
                log.warning("%s was left by a process that is dead: %s", self.file, content.decode(errors="replace"))
                self.file.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            try:
                self.check()
                os.utime(self.file)
            except RunInUseError as error:
                log.error("%s", error)
                return
            except OSError as error:  # a file system that is away for a while
                log.warning("%s cannot be touched: %s", self.file, error)


def _create(file: Path, mine: Holder) -> bool:
    """Makes a file that says who has it, with its whole content at once; False if it is there already."""
    partial = file.with_name(f".{FILE}.{mine.token}.partial")
    try:
        write_whole(partial, _to_json(mine))
        try:
            os.link(partial, file)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return _create_empty(file, mine)
        return True
    finally:
        partial.unlink(missing_ok=True)


def _create_empty(file: Path, mine: Holder) -> bool:
    """The same where the content can only come after the name."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, _to_json(mine))
    finally:
        os.close(descriptor)
    return True


def _alive(content: bytes, silent: float | None) -> bool:
    """Whether the process that made a file may be at work; `silent`: seconds since it was touched, None: no file."""
    if silent is None:
        return False
    holder = _from_json(content)
    return silent < SILENT if holder is None else holder.alive(silent)


def _in_use(file: Path) -> str:
    content, silent = _read(file)
    holder = _from_json(content)
    if holder is None:
        return f"{file} cannot be read: a process begins or ends there, or was killed so; try again in {SILENT:.0f} s"
    elsewhere = "" if holder.machine == _machine() else f", last seen {silent or 0:.0f} s ago"
    return (
        f"{file.parent} is in use: process {holder.pid} on {holder.host} is at work there since {holder.since}"
        f"{elsewhere}, says {file}. Wait for it, stop it, or use another workdir"
    )


def _read(file: Path) -> tuple[bytes, float | None]:
    """The content of a lock, and the seconds since it was touched; None: there is none."""
    try:
        return file.read_bytes(), max(0.0, time.time() - file.stat().st_mtime)
    except FileNotFoundError:
        return b"", None


def _to_json(holder: Holder) -> bytes:
    return (json.dumps(dataclasses.asdict(holder)) + "\n").encode()


def _from_json(content: bytes) -> Holder | None:
    try:
        fields: Any = json.loads(content)
        return Holder(**fields | {"pid": int(fields["pid"])})
    except (ValueError, TypeError, KeyError):
        return None


def _this_process() -> Holder:
    pid = os.getpid()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Holder(platform.node(), _machine(), pid, _status(pid)[1], now, uuid.uuid4().hex)


def _machine() -> str:
    """This boot of this machine, and the space that its process ids are in (containers have one of their own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _runs(pid: int, started: str) -> bool:
    """Whether a process of this machine runs, and is the one that started then."""
    if Path("/proc/self/stat").exists():
        state, when = _status(pid)
        return state not in ("", "Z", "X") and when == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _status(pid: int) -> tuple[str, str]:
    """State and time of start of a process, as `/proc` has them; empty if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
