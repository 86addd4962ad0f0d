"""A run's directory while the run is at work in it.

`with RunDirectory(path, record) as directory:` checks that the run may go on there and takes the lock. Until `begin` is
called, nothing is written: a start that is refused leaves the directory as it was. `begin` writes down what the run is,
and what has changed since it was last at work.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from lexitok.config.files import to_json
from lexitok.runs.changes import changes
from lexitok.runs.checkpoints.files import (
    FOLDER,
    VOCABULARY,
    CheckpointMismatchError,
    RunRecord,
    check_matches,
    saved_steps,
    step_folder,
)
from lexitok.runs.checkpoints.reading import read_record
from lexitok.runs.lock import Lock, RunInUseError
from lexitok.runs.run import CONFIG, read_config
from lexitok.runs.writing import clear_partial, write_whole
from lexitok.text.tokenizer_files import load_tokenizer, tokenizer_from_bytes

log = logging.getLogger(__name__)
HISTORY = "history.jsonl"  # what was changed when the run went on: a line a setting


class RunDirectory:
    """The directory of a run that is at work; a context manager. In a run of several processes, the first writes.

    Attributes:
      path: the directory.
      record: of the run.
    """

    def __init__(self, path: str | os.PathLike, record: RunRecord):
        """`path`: need not be there yet; nothing is done before the context is entered."""
        self.path, self.record = Path(path).absolute(), record
        self._lock = Lock(self.path)
        self._first = jax.process_index() == 0
        self._made: list[Path] = []  # folders that are this start's, the innermost first
        self._begun = False

    def __enter__(self) -> "RunDirectory":
        """Raises:
        CheckpointMismatchError: there is a run of other settings or another vocabulary; names each field.
        RunInUseError: another process is at work there.
        """
        self._in_first(self._take)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._first:
            self._lock.release()
            if not self._begun:
                self._remove_made()

    def begin(self, step: int) -> None:
        """Writes `config.json`, `vocabulary.model` and, if the run goes on with other settings, `history.jsonl`.

        To be called when nothing more can be refused: all that the start needs was found and fits.

        Args:
          step: that the run goes on from; 0: from the start.
        """
        self._begun = True
        if not self._first:
            return
        clear_partial(self.path)
        recorded = recorded_config(self.path)
        if recorded is not None and step:
            self._note_changes(step, changes(recorded, self.record.config)[0])
        self.write(CONFIG, to_json(self.record.config))
        if self.record.vocabulary:
            self.write(VOCABULARY, self.record.vocabulary)

    def check(self) -> None:
        """Raises a `RunInUseError` if another process has taken over; for before something large is written."""
        if self._first:
            self._lock.check()

    def write(self, name: str, content: bytes | str) -> None:
        """Writes a file of the run whole, in the first process; one that has this content is left alone.

        Raises:
          RunInUseError: another process has taken over.
        """
        if not self._first:
            return
        self.check()
        file, data = self.path / name, content.encode() if isinstance(content, str) else content
        if not (file.is_file() and file.read_bytes() == data):
            write_whole(file, data)

    def _take(self) -> None:
        check_goes_on(self.path, self.record)
        missing = [self.path / FOLDER, self.path, *self.path.parents]
        self._made = [folder for folder in missing if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.take()
            check_goes_on(self.path, self.record)  # what is there may have come meanwhile
        except BaseException:
            self._lock.release()
            self._remove_made()
            raise

    def _remove_made(self) -> None:
        for folder in self._made:
            with contextlib.suppress(OSError):  # it holds something, and is not only this start's
                folder.rmdir()

    def _in_first(self, act: Callable[[], None]) -> None:
        """Does it in the first process; if that one is refused, all are."""
        error: Exception | None = None
        if self._first:
            try:
                act()
            except Exception as found:
                error = found
        if jax.process_count() > 1 and bool(multihost_utils.broadcast_one_to_all(np.asarray(error is not None))):
            error = error or RunInUseError(f"{self.path}: the first process was refused there, and says why")
        if error is not None:
            raise error

    def _note_changes(self, step: int, found: dict[str, tuple[Any, Any]]) -> None:
        if not found:
            return
        file, now = self.path / HISTORY, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        noted = [{**line, "time": now} for line in read_history(self.path)]  # by a start that was killed right after
        entries = [{"time": now, "step": step, "key": key, "old": a, "new": b} for key, (a, b) in found.items()]
        lines = [json.dumps(entry) for entry in entries if json.loads(json.dumps(entry)) not in noted]
        log.info("goes on from step %d with other settings: %s", step, ", ".join(found))
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        self.write(HISTORY, before + "".join(line + "\n" for line in lines))


def check_goes_on(path: Path, record: RunRecord) -> None:
    """Checks that a run may begin or go on in a directory; writes nothing.

    What is there is known by its newest checkpoint, or by `config.json` where there is none yet.

    Raises:
      CheckpointMismatchError: there is a run of other settings or another vocabulary; names each field.
      RunError: its `config.json` cannot be read.
    """
    there = _newest_record(path)
    if there is None and (path / CONFIG).exists():
        kept = path / VOCABULARY
        there = RunRecord(read_config(path), kept.read_bytes() if kept.exists() else record.vocabulary)
    if there is None:
        return
    check_matches(there, record, f"the run in {path}")
    _check_named_vocabulary(path, there, record)


def recorded_config(path: Path) -> ConfigDict | None:
    """The config that a directory says its run was last at work with; None: there is no run.

    Raises:
      RunError: its `config.json` cannot be read.
    """
    if (path / CONFIG).exists():
        return read_config(path)
    record = _newest_record(path)
    return None if record is None else record.config


def read_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """What was changed when a run went on, in order: `time`, `step`, `key`, `old`, `new` each."""
    file = Path(path) / HISTORY
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else ()
    return [json.loads(line) for line in lines]


def _newest_record(path: Path) -> RunRecord | None:
    for step in reversed(saved_steps(path)):
        try:
            return read_record(step_folder(path, step))
        except (OSError, ValueError, KeyError) as error:  # damaged: restoring will say so
            log.warning("the record of step %d in %s cannot be read: %r", step, path, error)
    return None


def _check_named_vocabulary(path: Path, there: RunRecord, record: RunRecord) -> None:
    """A vocabulary that is named now, and was not before, has to be the run's own: else it would be left unused."""
    named = record.config.text.vocabulary.path
    if not named or named == there.config.text.vocabulary.path or not there.vocabulary:
        return
    ours, theirs = tokenizer_from_bytes(there.vocabulary).vocabulary, load_tokenizer(named).vocabulary
    if ours.fingerprint != theirs.fingerprint:
        raise CheckpointMismatchError(
            f"the run in {path} has another vocabulary than {named}, which text.vocabulary.path names: fingerprints "
            f"{ours.fingerprint[:16]} and {theirs.fingerprint[:16]}. Leave it out, or use another workdir."
        )
