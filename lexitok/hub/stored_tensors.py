"""Tensors that lie in files: their names and shapes, and their rows when they are asked for."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

MAX_SIZE = 2**40  # of a dimension; more is a damaged file


class HubError(ValueError):
    """A checkpoint that cannot be read or written; the message names the file, and the tensor or key."""


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file; nothing of it is in memory.

    Attributes:
      name: in its file.
      shape: as it is written, rows first.
      kind: of its numbers, as its format calls it (`BF16`, `Q4_K`).
      file: the name of the file.
      read: rows `start` to `stop` of the first dimension as floats: views of the mapped file, or dequantised copies.
        None: lexitok has no floats of this kind.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    file: str
    read: Callable[[int, int], np.ndarray] | None

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows of the first dimension, as `read` gives them.

        Raises:
          HubError: numbers of a kind that cannot be read.
        """
        if self.read is None:
            raise HubError(
                f"{self.file}: tensor '{self.name}' is of kind {self.kind}, which cannot be read as floats; use a "
                "checkpoint in float32, float16 or bfloat16, or a GGUF of a common quantisation"
            )
        return self.read(start, stop)

    def all(self) -> np.ndarray:
        """The whole tensor."""
        return self.rows(0, self.shape[0])


@runtime_checkable
class StoredTensors(Protocol):
    """Files of tensors that were found to be in order."""

    @property
    def tensors(self) -> Mapping[str, StoredTensor]: ...

    def release(self) -> None:
        """Gives back the memory that pages of mapped files take."""
        ...


def count(shape: tuple[int, ...]) -> int:
    """Numbers in a tensor."""
    return math.prod(shape)
