"""The files of a checkpoint: what a run records beside its state, and a list of sizes and checksums to trust them by.

`workdir/checkpoints/STEP/` holds `state` (arrays by dotted name, written by Orbax), `data` (where each process stood
in the data), `extra` (`RunRecord` as JSON) and `files.json` (every file with its size and checksum).
"""

import base64
import dataclasses
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from lexitok.config.files import from_json, to_json
from lexitok.config.older import completed
from lexitok.runs.changes import MAY_CHANGE, changes
from lexitok.runs.origin import Origin
from lexitok.runs.writing import write_whole

FOLDER = "checkpoints"
VOCABULARY = "vocabulary.model"  # in a run's directory, as its tokenizer writes it
LIST = "files.json"
LARGE = 64 * 2**20  # bytes; of larger files only the size is checked, so that a restart need not read all twice
UNLISTED = frozenset({LIST, "commit_success.txt", "_CHECKPOINT_METADATA"})  # written last, or not needed to restore


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read; the message names the steps and what is wrong with them."""


class CheckpointMismatchError(ValueError):
    """A checkpoint, or a run, of other settings or another vocabulary than this run's; the message names the fields."""


class CheckpointWriteError(RuntimeError):
    """A checkpoint that could not be saved; the message names the step, the place, and the last good step."""


class DamagedError(Exception):
    """Files of a checkpoint that are missing, cut or changed."""


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What is needed, beside arrays, to know what a checkpoint is.

    Attributes:
      config: the whole tree.
      vocabulary: the bytes of the vocabulary's file; empty for byte models.
      metadata: whatever else, as JSON: versions, where the data came from, bytes seen.
      fixed: where the model's fixed parts are from, which its checkpoints do not hold; None: an older run, whose
        checkpoints hold them.
    """

    config: ConfigDict
    vocabulary: bytes = b""
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    fixed: tuple[Origin, ...] | None = ()

    def to_tree(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "config": json.loads(to_json(self.config)),
            "vocabulary": base64.b64encode(self.vocabulary).decode(),
            "metadata": self.metadata,
            "fixed": [dataclasses.asdict(origin) for origin in self.fixed or ()],
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> "RunRecord":
        """What `to_tree` made."""
        config = completed(from_json(json.dumps(tree["config"])))
        fixed = tuple(Origin(**origin) for origin in tree["fixed"]) if "fixed" in tree else None
        return cls(config, base64.b64decode(tree["vocabulary"]), tree["metadata"], fixed)

    @property
    def fingerprint(self) -> str:
        """Of the vocabulary: the first 16 hexadecimal digits of its SHA-256."""
        return hashlib.sha256(self.vocabulary).hexdigest()[:16]


def check_matches(saved: RunRecord, run: RunRecord, where: str) -> None:
    """Checks that a run may go on from what another has recorded: all settings, but those that may change.

    Raises:
      CheckpointMismatchError: a setting (see `lexitok.runs.changes`) or the vocabulary differs; names each field.
    """
    fields = changes(saved.config, run.config)[1]
    if saved.fingerprint != run.fingerprint:
        fields["vocabulary fingerprint"] = (saved.fingerprint, run.fingerprint)
    if fields:
        named = "; ".join(f"{name}: recorded {a!r}, this run {b!r}" for name, (a, b) in fields.items())
        raise CheckpointMismatchError(
            f"{where} does not fit this run: {named}. Use its settings, or another workdir. What may change is "
            f"{', '.join(MAY_CHANGE)}."
        )


def saved_steps(workdir: str | os.PathLike) -> list[int]:
    """The steps whose checkpoints are complete, in order; those being written, or left half written, do not count."""
    folder = Path(workdir) / FOLDER
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.is_dir() and p.name.isdecimal())


def step_folder(workdir: str | os.PathLike, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return Path(workdir).absolute() / FOLDER / str(step)


def write_list(folder: Path) -> None:
    """Writes the list of the files in `folder`."""
    files = {str(p.relative_to(folder)): _size_and_sum(p) for p in sorted(folder.rglob("*")) if _listed(p)}
    write_whole(folder / LIST, json.dumps(files, indent=0))


def verify(folder: Path, *, sums: bool = True) -> None:
    """Checks the files in `folder` against their list.

    Args:
      folder: of a checkpoint.
      sums: also read the files that are not large and compare their checksums.

    Raises:
      DamagedError: a file is missing, cut or changed; names it.
    """
    try:
        files = json.loads((folder / LIST).read_text())
    except (OSError, ValueError) as error:
        raise DamagedError(f"{LIST} cannot be read ({error})") from None
    for name, (size, checksum) in files.items():
        path = folder / name
        if not path.is_file():
            raise DamagedError(f"{name} is missing")
        if path.stat().st_size != size:
            raise DamagedError(f"{name} has {path.stat().st_size} bytes, {size} were written")
        if sums and checksum is not None and _size_and_sum(path)[1] != checksum:
            raise DamagedError(f"{name} is not what was written (checksum differs)")


def _listed(path: Path) -> bool:
    return path.is_file() and path.name not in UNLISTED


def _size_and_sum(path: Path) -> tuple[int, int | None]:
    size = path.stat().st_size
    return size, (zlib.crc32(path.read_bytes()) if size <= LARGE else None)
