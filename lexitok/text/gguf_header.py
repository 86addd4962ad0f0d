"""The key-value part of a GGUF file, read without its tensors.

The format is that of ggml's documentation (docs/gguf.md), versions 2 and 3, little-endian. A vocabulary of 262,144
tokens takes a fraction of a second here, and most of a minute with the reader of the package `gguf`, which makes an
array of every string. Every size in the file is checked against what is left of it before anything is allocated.
"""

import mmap
import pathlib
import struct
from typing import Any

import numpy as np

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_SCALARS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
_STRING, _ARRAY = 8, 9
_DEEPEST = 4  # arrays in arrays


class GgufError(ValueError):
    """A file that is no GGUF, or a damaged one; the message names the file and the byte."""


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
    if path.stat().st_size < 24:
        raise GgufError(f"{path}: not a GGUF file: it has {path.stat().st_size} bytes")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reader(data, str(path)).header()


class _Reader:
    def __init__(self, data: Any, name: str):
        self._data, self._name, self._at = data, name, 0

    def header(self) -> dict[str, Any]:
        if self._data[:4] != MAGIC:
            raise GgufError(f"{self._name}: not a GGUF file: it begins with {bytes(self._data[:4])!r}")
        version = int.from_bytes(self._data[4:8], "little")
        if version not in VERSIONS:
            raise GgufError(f"{self._name}: GGUF version {version}; versions {VERSIONS} are known, little-endian")
        count = int.from_bytes(self._data[16:24], "little")
        self._at = 24
        found: dict[str, Any] = {}
        for _ in range(self._fitting(count, 12, "keys")):
            key = self._string()
            if not isinstance(key, str) or key in found:
                raise self._error(f"the key {key!r} is no text, or is there twice")
            found[key] = self._value(self._number("<I"), 0)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _SCALARS:
            return self._numbers(kind, 1)[0].item()
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY and depth < _DEEPEST:
            inner, count = self._number("<I"), self._number("<Q")
            if inner in _SCALARS:
                return self._numbers(inner, count)
            if inner == _STRING:
                return self._strings(self._fitting(count, 8, "strings"))
            return [self._value(inner, depth + 1) for _ in range(self._fitting(count, 12, "arrays"))]
        raise self._error(f"a value of the unknown type {kind}, {depth} arrays deep")

    def _number(self, form: str) -> int:
        size = struct.calcsize(form)
        self._fitting(1, size, "numbers")
        (number,) = struct.unpack_from(form, self._data, self._at)
        self._at += size
        return number

    def _numbers(self, kind: int, count: int) -> np.ndarray:
        dtype = np.dtype(_SCALARS[kind])
        size = self._fitting(count, dtype.itemsize, "numbers") * dtype.itemsize
        self._at += size
        return np.frombuffer(self._data[self._at - size : self._at], dtype)

    def _string(self) -> str | bytes:
        return self._strings(1)[0]

    def _strings(self, count: int) -> list[str | bytes]:
        data, at, found, end, length_of = self._data, self._at, [], len(self._data), struct.Struct("<Q").unpack_from
        for _ in range(count):
            (length,) = length_of(data, at) if at + 8 <= end else (end,)
            if length > end - at - 8:
                self._at = at
                raise self._error(f"a string of {length} bytes, where {max(end - at - 8, 0)} are left")
            raw = data[at + 8 : at + 8 + length]
            at += 8 + length
            try:
                found.append(raw.decode())
            except UnicodeDecodeError:
                found.append(raw)
        self._at = at
        return found

    def _fitting(self, count: int, size: int, what: str) -> int:
        left = len(self._data) - self._at
        if count > left // size:
            raise self._error(f"{count} {what}, where {left} bytes are left")
        return count

    def _error(self, what: str) -> GgufError:
        return GgufError(f"{self._name}, byte {self._at}: the header has {what}; the file is damaged or cut off")
