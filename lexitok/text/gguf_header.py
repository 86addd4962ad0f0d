"""The key-value part of a GGUF file, believed only as far as the file is long.

The format is that of ggml's documentation (docs/gguf.md), versions 2 and 3, little-endian. The reader of the package
`gguf` makes an array of every string, which takes long for a vocabulary of 262,144. Here as little as can be is done
for each, and every size in the file is checked against what is left of it before anything of that size is made.
"""

import mmap
import pathlib
import struct
from typing import Any, NoReturn

import numpy as np

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_SCALARS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
_STRING, _ARRAY = 8, 9
_DEPTH = 3  # of arrays in arrays
_BEGINNING = 24  # bytes: the magic, the version, how many tensors, how many keys
_LEAST_KEY, _LEAST_TENSOR = 8 + 4 + 1, 8 + 4 + 8 + 4 + 8  # bytes that one takes at least


class GgufError(ValueError):
    """A file that is no GGUF, or a damaged one; the message names the file, and the key."""


def read_gguf_header(path: str | pathlib.Path) -> dict[str, Any]:
    """The metadata of a GGUF file, by key: numbers, truth values, strings (`bytes` where they are not UTF-8), numpy
    arrays of numbers, and lists of strings or arrays.

    Raises:
      FileNotFoundError: there is no such file.
      GgufError: it is no GGUF, or its header is damaged.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no GGUF file at {path}")
    if not path.stat().st_size:  # it could not be mapped
        raise GgufError(f"{path} is no GGUF: it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return GgufCursor(data, str(path)).metadata()[0]


class GgufCursor:
    """Reads a header on and on, and never beyond the end.

    Attributes:
      at: the next byte.
      what: is read now; errors say it.
    """

    def __init__(self, data: Any, name: str):
        """Args: the bytes of the file (or a map of them), and what errors call it."""
        self._data, self._name, self._size = data, name, len(data)
        self.at, self.what = 0, "the header"

    def metadata(self) -> tuple[dict[str, Any], int]:
        """The metadata, from the beginning of the file, and how many tensors follow; see `read_gguf_header`."""
        if self._size < _BEGINNING or self.take(4) != MAGIC:
            raise GgufError(f"{self._name} is no GGUF: it does not begin with these letters")
        version = self.number("<u4")
        if version not in VERSIONS:
            known = " and ".join(map(str, VERSIONS))
            raise GgufError(f"{self._name} is a GGUF of version {version}; versions {known}, little-endian, are read")
        tensors = self.count(self.number("<u8"), _LEAST_TENSOR)
        found: dict[str, Any] = {}
        for i in range(self.count(self.number("<u8"), _LEAST_KEY)):
            self.what = f"metadata key {i}"
            key = self.text()
            self.what = f"metadata '{key:.100}'"
            if key in found:
                self.refuse("is there twice")
            found[key] = self._value(self.number("<u4"), 0)
        return found, tensors

    def number(self, dtype: str) -> Any:
        """The next number, or truth value."""
        value = np.frombuffer(self.take(np.dtype(dtype).itemsize), dtype)[0]
        # The shortest decimal that is this float32: 1e-06, and not 9.999999974752427e-07.
        return float(str(value)) if dtype == "<f4" else value.item()

    def text(self) -> str:
        """The next string, which has to be UTF-8."""
        (text,) = self._strings(1)
        if isinstance(text, bytes):
            self.refuse("has a name that is not UTF-8")
        return text

    def take(self, length: int) -> bytes:
        """The next so many bytes."""
        if self.at + length > self._size:
            self.refuse("ends in the middle: the file is truncated")
        self.at += length
        return self._data[self.at - length : self.at]

    def count(self, wanted: int, least: int) -> int:
        """`wanted`, if there can be so many things of at least so many bytes."""
        left = self._size - self.at
        if wanted * least > left:
            self.refuse(f"is said to have {wanted:,} entries or bytes, and {left:,} bytes are left in the file")
        return wanted

    def refuse(self, why: str) -> NoReturn:
        """Raises a `GgufError`."""
        raise GgufError(f"{self._name}: {self.what} {why}; the file is damaged")

    def _value(self, kind: int, depth: int) -> Any:
        if kind == _STRING:
            return self._strings(1)[0]
        if kind != _ARRAY:
            return self.number(self._scalar(kind))
        if depth == _DEPTH:
            self.refuse("has arrays in arrays in arrays")
        kind, length = self.number("<u4"), self.number("<u8")
        if kind == _STRING:
            return self._strings(self.count(length, 8))
        if kind == _ARRAY:
            return [self._value(kind, depth + 1) for _ in range(self.count(length, 12))]
        dtype = np.dtype(self._scalar(kind))
        return np.frombuffer(self.take(self.count(length, dtype.itemsize) * dtype.itemsize), dtype)

    def _scalar(self, kind: int) -> str:
        if kind not in _SCALARS:
            self.refuse(f"has a value of the unknown kind {kind}")
        return _SCALARS[kind]

    def _strings(self, number: int) -> list[str | bytes]:
        found, data, at, size = [], self._data, self.at, self._size
        length_at = struct.Struct("<Q").unpack_from
        for _ in range(number):
            (length,) = length_at(data, at) if at + 8 <= size else (size,)
            if length > size - at - 8:
                self.refuse(f"is said to have a string of {length:,} bytes, and {max(0, size - at - 8):,} are left")
            raw = data[at + 8 : at + 8 + length]
            at += 8 + length
            try:
                found.append(raw.decode())
            except UnicodeDecodeError:
                found.append(raw)
        self.at = at
        return found
