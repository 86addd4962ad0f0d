"""A GGUF as files of tensors: rows are dequantised when they are asked for (by the `gguf` library)."""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf.quants import dequantize

from lexitok.hub.gguf_tensors import GgufTensor, read_gguf_tensors
from lexitok.hub.stored_tensors import HubError, StoredTensor
from lexitok.text.gguf_header import GgufCursor, GgufError


class GgufFile:
    """The metadata and tensors of a GGUF. The header is checked when it is made; data is mapped.

    Attributes:
      path: of the file.
      metadata: by key.
      tensors: by name.
    """

    def __init__(self, path: str | Path):
        """Raises:
        HubError: there is no such file, it is no GGUF, or a damaged one.
        """
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise HubError(f"{path} cannot be read: {error}") from error
        cursor = GgufCursor(self._map, str(path))
        try:
            self.metadata: Mapping[str, Any]
            self.metadata, count = cursor.metadata()
            tensors = read_gguf_tensors(cursor, count, self.metadata.get("general.alignment", 32), len(self._map))
        except GgufError as error:
            raise HubError(str(error)) from error
        self.tensors: Mapping[str, StoredTensor] = {
            name: StoredTensor(name, t.shape, t.kind.name, str(path), self._reader(name, t))
            for name, t in tensors.items()
        }

    def release(self) -> None:
        """Gives back the memory that pages of the mapped file take."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def _reader(self, name: str, tensor: GgufTensor) -> Callable[[int, int], np.ndarray]:
        rows = tensor.shape[0] if len(tensor.shape) > 1 else 1

        def read(start: int, stop: int) -> np.ndarray:
            raw = np.frombuffer(self._map, np.uint8, tensor.end - tensor.begin, tensor.begin).reshape(rows, -1)
            try:
                if len(tensor.shape) == 1:
                    return dequantize(raw, tensor.kind).reshape(tensor.shape)[start:stop]
                return dequantize(raw[start:stop], tensor.kind).reshape(-1, *tensor.shape[1:])
            except NotImplementedError as error:
                raise HubError(f"{self.path}: tensor '{name}' is {tensor.kind.name}, which cannot be read") from error

        return read
