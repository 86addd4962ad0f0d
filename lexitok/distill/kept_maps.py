"""Maps between two vocabularies that take long to find, found once and kept in the user's cache."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lexitok.runs.writing import write_whole
from lexitok.text.vocabulary import Vocabulary

FOLDER = "XDG_CACHE_HOME"  # the environment's name for where programs keep what can be made again


def kept_map(name: str, student: Vocabulary, teacher: Vocabulary, find: Callable[[], np.ndarray]) -> np.ndarray:
    """What was found for these vocabularies, or else what `find` finds, which is then kept.

    What is kept goes by the fingerprints of both, so that no other vocabulary's is taken; a file that cannot be read is
    made anew, and where none can be written nothing is kept.

    Args:
      name: of what it is, with its version: of another rule it has to be another.
      student, teacher: the vocabularies.
      find: finds it.
    """
    path = cache() / f"{name}-{student.fingerprint[:20]}-{teacher.fingerprint[:20]}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        return np.load(path, allow_pickle=False)
    found, content = find(), io.BytesIO()
    np.save(content, found, allow_pickle=False)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
    return found


def cache() -> Path:
    """Where maps are kept."""
    return Path(os.environ.get(FOLDER) or "~/.cache").expanduser() / "lexitok" / "maps"
