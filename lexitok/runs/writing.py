"""Files that are written whole or not at all."""

import contextlib
import os
import uuid
from pathlib import Path

PARTIAL = ".*.partial"  # what a process that was killed while it wrote leaves behind


def write_whole(path: str | os.PathLike, content: bytes | str) -> None:
    """Writes a file so that whoever reads it, at any moment and after any crash, finds the old content or the new.

    The content goes to a file beside it, to the disk, and only then under its name.

    Args:
      path: of the file; its folder is there.
      content: text is written as UTF-8.

    Raises:
      OSError: it could not be written; the old file is as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def clear_partial(folder: Path) -> None:
    """Removes what killed processes have left half written in a folder that nobody else writes to."""
    for partial in folder.glob(PARTIAL):
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Brings the new name to the disk, too, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
