"""Bitmap fonts in the `.hex` format of GNU Unifont: a line a glyph, `0041:` and its 16 rows in hexadecimal.

A glyph is 8 or 16 pixels wide and 16 high, so a line has 32 or 64 digits behind the colon, the topmost row first, the
leftmost pixel in the highest bit (https://unifoundry.com/unifont/). Empty lines and lines that begin with `#` say
nothing. Any such file will do, gzip-compressed or not, Unifont's own among them.

The default is `unscii-16-full.hex` of the Python package `terminedia`: Unscii 16 (viznut) for what that has, and
GNU Unifont for the rest of the Basic Multilingual Plane. The file is under the GPL (version 2 or later, with the font
embedding exception), because Unifont is; what is Unscii's own is in the public domain (http://viznut.fi/unscii/). It
is read from where it is installed and no part of lexitok.
"""

import functools
import gzip
import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

HEIGHT = 16  # pixels of every glyph
_PACKAGE, _FILE = "terminedia", "data/unscii-16-full.hex"


class FontError(ValueError):
    """A font that cannot be found or read; the message names the file, and the line if there is one to blame."""


class HexFont:
    """Glyphs by code point.

    Args:
      glyphs: code point to 16 or 32 bytes, the rows from the top, one or two bytes each.
      source: what messages call the font.

    Raises:
      FontError: a glyph of another size.
    """

    def __init__(self, glyphs: Mapping[int, bytes], source: str = "font") -> None:
        self.source = source
        self._glyphs = dict(glyphs)
        for code, glyph in self._glyphs.items():
            if len(glyph) not in (HEIGHT, 2 * HEIGHT):
                raise FontError(f"{source}: the glyph of U+{code:04X} has {len(glyph)} bytes, not 16 (8x16) or 32")

    @classmethod
    def read(cls, path: str | Path = "") -> "HexFont":
        """The font in a `.hex` or `.hex.gz` file; without a path, the default font.

        Raises:
          FontError: there is no such file, or a line of it is damaged.
        """
        return _read(Path(path) if path else default_font())

    def __contains__(self, code: int) -> bool:
        return code in self._glyphs

    def __len__(self) -> int:
        return len(self._glyphs)

    def codes(self) -> list[int]:
        """The code points that have a glyph, in order."""
        return sorted(self._glyphs)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the glyphs, in hexadecimal: equal if and only if all of them are, whatever file they are from."""
        lines = (f"{code:06X}:{self._glyphs[code].hex()}\n".encode() for code in self.codes())
        return hashlib.sha256(b"".join(lines)).hexdigest()

    def bitmap(self, code: int) -> Bool[np.ndarray, "16 width"]:
        """The glyph of a code point, 8 or 16 pixels wide; true is ink.

        Raises:
          KeyError: it has none.
        """
        if code not in self._glyphs:
            raise KeyError(f"{self.source} has no glyph for U+{code:04X}")
        rows = np.frombuffer(self._glyphs[code], np.uint8).reshape(HEIGHT, -1)
        return np.unpackbits(rows, axis=1).astype(bool)


def default_font() -> Path:
    """Where the default font lies; its package is found, not imported.

    Raises:
      FontError: it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / _FILE
        if path.is_file():
            return path
    raise FontError(
        f"the default font is {_FILE} of the package '{_PACKAGE}', which is not installed: `uv sync --extra glyphs`, "
        "or name another .hex font, such as GNU Unifont's"
    )


def _read(path: Path) -> HexFont:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise FontError(f"{path}: {error.strerror or error}; give the path of a .hex or .hex.gz font") from None
    return _parsed(path, changed)


@functools.lru_cache(maxsize=2)
def _parsed(path: Path, changed: int) -> HexFont:
    """The font as the file was at `changed`: 59,000 lines are not parsed again for every model that is made."""
    del changed
    try:
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise FontError(f"{path}: byte {error.start} is not ASCII: this is no .hex font") from None
    except (OSError, EOFError) as error:
        raise FontError(f"{path}: cannot be read: {error}") from None
    glyphs: dict[int, bytes] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            code, glyph = _glyph(line, f"{path}:{number}")
            if code in glyphs:
                raise FontError(f"{path}:{number}: U+{code:04X} is there a second time")
            glyphs[code] = glyph
    if not glyphs:
        raise FontError(f"{path}: there is no glyph in this file")
    return HexFont(glyphs, str(path))


def _glyph(line: str, where: str) -> tuple[int, bytes]:
    head, colon, digits = line.strip().partition(":")
    try:
        code, glyph = int(head, 16), bytes.fromhex(digits)
    except ValueError:
        code, glyph = -1, b""
    if not colon or not 0 <= code <= 0x10FFFF or " " in digits:
        raise FontError(f"{where}: {line[:40]!r} is not a code point, a colon and a glyph in hexadecimal")
    if len(glyph) not in (HEIGHT, 2 * HEIGHT):
        raise FontError(f"{where}: {len(digits)} digits; a glyph has 32 (8x16 pixels) or 64 (16x16)")
    return code, glyph
