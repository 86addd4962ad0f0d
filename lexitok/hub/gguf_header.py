"""The header of a GGUF: metadata and where tensors lie, believed only as far as the file is long.

The format is that of ggml's `docs/gguf.md`, versions 2 and 3, little-endian. Every length is checked against the bytes
that are left before anything of that length is made.
"""

import dataclasses
import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from lexitok.hub.errors import HubError
from lexitok.hub.tensors import MAX_SIZE, count

_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9
_DEPTH = 3  # of arrays in arrays
_LEAST_KEY, _LEAST_TENSOR = 8 + 4 + 1, 8 + 4 + 8 + 4 + 8  # bytes that one takes at least


@dataclasses.dataclass(frozen=True)
class GgufTensor:
    """A tensor: its shape, rows first (the file has them the other way round), kind, and bytes of the file."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    begin: int
    end: int


@dataclasses.dataclass(frozen=True)
class GgufHeader:
    """Metadata by key (numbers, bools, text, lists of them, or numpy arrays), and tensors by name."""

    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]


def read_gguf_header(path: Path, mapped: mmap.mmap) -> GgufHeader:
    """The header of a mapped file.

    Raises:
      HubError: it is no GGUF, or a damaged one; names the file and the key or tensor.
    """
    return _Cursor(path, mapped).header()


class _Cursor:
    """Reads on and on, and never beyond the end."""

    def __init__(self, path: Path, mapped: mmap.mmap):
        self._path, self._data, self._at, self._size = path, mapped, 0, len(mapped)
        self._what = "the header"

    def header(self) -> GgufHeader:
        if self._size < 24 or self._bytes(4) != b"GGUF":
            raise HubError(f"{self._path} is no GGUF: it does not begin with these letters")
        version = self._number("<u4")
        if version not in (2, 3):
            raise HubError(f"{self._path} is a GGUF of version {version}; versions 2 and 3, little-endian, are read")
        tensors = self._count(self._number("<u8"), _LEAST_TENSOR)
        keys = self._count(self._number("<u8"), _LEAST_KEY)
        metadata = self._metadata(keys)
        infos = self._infos(tensors)
        return GgufHeader(metadata, self._placed(infos, metadata.get("general.alignment", 32)))

    def _metadata(self, keys: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for i in range(keys):
            self._what = f"metadata key {i}"
            key = self._text()
            self._what = f"metadata '{key:.100}'"
            if key in out:
                self._refuse("is there twice")
            out[key] = self._value(self._number("<u4"), 0)
        return out

    def _infos(self, tensors: int) -> dict[str, tuple[tuple[int, ...], int, int]]:
        out: dict[str, tuple[tuple[int, ...], int, int]] = {}
        for i in range(tensors):
            self._what = f"tensor {i}"
            name = self._text()
            self._what = f"tensor '{name:.100}'"
            if name in out:
                self._refuse("is there twice")
            dimensions = self._number("<u4")
            if not 1 <= dimensions <= 4:
                self._refuse(f"has {dimensions} dimensions")
            shape = tuple(self._number("<u8") for _ in range(dimensions))[::-1]
            if not all(0 < n <= MAX_SIZE for n in shape):
                self._refuse(f"has the impossible shape {shape}")
            out[name] = shape, self._number("<u4"), self._number("<u8")
        return out

    def _placed(self, infos: dict[str, tuple[tuple[int, ...], int, int]], alignment: Any) -> dict[str, GgufTensor]:
        self._what = "general.alignment"
        if type(alignment) is not int or not 1 <= alignment <= 2**20 or alignment & (alignment - 1):
            self._refuse(f"is {alignment!r:.50}, not a power of two")
        data = -(-self._at // alignment) * alignment
        out = {name: self._tensor(name, *info, data) for name, info in infos.items()}
        last = 0
        for name, tensor in sorted(out.items(), key=lambda item: item[1].begin):
            if tensor.begin < last:
                self._what = f"tensor '{name:.100}'"
                self._refuse("overlaps the one before it")
            last = tensor.end
        return out

    def _tensor(self, name: str, shape: tuple[int, ...], kind: int, offset: int, data: int) -> GgufTensor:
        self._what = f"tensor '{name:.100}'"
        try:
            quantisation = GGMLQuantizationType(kind)
        except ValueError:
            self._refuse(f"has numbers of the unknown kind {kind}")
        block, size = GGML_QUANT_SIZES[quantisation]
        if shape[-1] % block:
            self._refuse(f"has rows of {shape[-1]} numbers, which blocks of {block} ({quantisation.name}) do not fill")
        begin = data + offset
        end = begin + count(shape) // block * size
        if end > self._size:
            self._refuse(f"ends at byte {end:,} of a file of {self._size:,}: the file is truncated, or lies")
        return GgufTensor(shape, quantisation, begin, end)

    def _value(self, kind: int, depth: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(self._scalar(kind))
        if depth == _DEPTH:
            self._refuse("has arrays in arrays in arrays")
        kind, length = self._number("<u4"), self._number("<u8")
        if kind == _STRING:
            return self._texts(self._count(length, 8))
        if kind == _ARRAY:
            return [self._value(kind, depth + 1) for _ in range(self._count(length, 12))]
        dtype = np.dtype(self._scalar(kind))
        self._count(length, dtype.itemsize)
        return np.frombuffer(self._bytes(length * dtype.itemsize), dtype).copy()

    def _scalar(self, kind: int) -> str:
        if kind not in _SCALARS:
            self._refuse(f"has a value of the unknown kind {kind}")
        return _SCALARS[kind]

    def _number(self, dtype: str) -> Any:
        value = np.frombuffer(self._bytes(np.dtype(dtype).itemsize), dtype)[0]
        # The shortest decimal that is this float32: 1e-06, and not 9.999999974752427e-07.
        return float(str(value)) if dtype == "<f4" else value.item()

    def _text(self) -> str:
        length = self._count(struct.unpack("<Q", self._bytes(8))[0], 1)
        return self._bytes(length).decode("utf-8", "surrogateescape")

    def _texts(self, number: int) -> list[str]:
        """Vocabularies have hundreds of thousands of them: as little as can be is done for each."""
        out, data, at, size = [], self._data, self._at, self._size
        length_at = struct.Struct("<Q").unpack_from
        for _ in range(number):
            if at + 8 > size or (end := at + 8 + length_at(data, at)[0]) > size:
                self._refuse("ends in the middle: the file is truncated")
            out.append(data[at + 8 : end].decode("utf-8", "surrogateescape"))
            at = end
        self._at = at
        return out

    def _count(self, wanted: int, least: int) -> int:
        left = self._size - self._at
        if wanted * least > left:
            self._refuse(f"is said to have {wanted:,} entries or bytes, and {left:,} bytes are left in the file")
        return wanted

    def _bytes(self, length: int) -> bytes:
        if self._at + length > self._size:
            self._refuse("ends in the middle: the file is truncated")
        self._at += length
        return self._data[self._at - length : self._at]

    def _refuse(self, why: str) -> Any:
        raise HubError(f"{self._path}: {self._what} {why}; the file is damaged")
