"""The embedded text: the sources of the running Python's standard library, and its language reference by topic."""

import pathlib
import platform
import sysconfig
from collections.abc import Iterator

from lexitok.data.readers import RawDocument, SourceError

LICENSE = "Python Software Foundation License Version 2, https://docs.python.org/3/license.html"
_SUFFIXES = (".py", ".txt", ".rst")
# Tests are larger than all the rest; code pages are tables of numbers; the next two are other people's packages; and
# what starts with the last two names a build, not a Python version.
_LEFT_OUT = ("test", "tests", "idle_test", "encodings", "site-packages", "dist-packages", "__pycache__", "pydoc_data")
_LEFT_OUT_PREFIXES = ("_sysconfigdata", "config-")


def revision() -> str:
    """The Python whose sources these are."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def stdlib_root() -> pathlib.Path:
    """The folder of the standard library."""
    return pathlib.Path(sysconfig.get_path("stdlib"))


def stdlib_files() -> list[tuple[str, pathlib.Path]]:
    """The name (path in the library, with `/`) and the path of every file, sorted.

    Raises:
      SourceError: this Python comes without its sources.
    """
    root, found = stdlib_root(), []
    for folder, folders, files in root.walk():
        folders[:] = [name for name in folders if not _left_out(name)]
        paths = [folder / name for name in files if name.endswith(_SUFFIXES) and not _left_out(name)]
        found += [(path.relative_to(root).as_posix(), path) for path in paths]
    if not found:
        raise SourceError(f"no Python sources under {root}; use a source of your own, such as text:FOLDER/**/*.py")
    return sorted(found)


def _left_out(name: str) -> bool:
    return name in _LEFT_OUT or name.startswith(_LEFT_OUT_PREFIXES)


def read_stdlib() -> Iterator[RawDocument]:
    """Every file that is UTF-8 (a few declare another encoding), and every topic of the language reference."""
    for name, path in stdlib_files():
        data = path.read_bytes()
        if _is_utf8(data):
            yield RawDocument(name, data)
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield RawDocument(f"pydoc_data/topics/{name}", topics[name].encode())


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
