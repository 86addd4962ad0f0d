"""Writes safetensors a tensor at a time, so that no more than one is in memory, in files of a size."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lexitok.hub.safetensors_files import INDEX, SINGLE
from lexitok.hub.safetensors_header import ITEM_BYTES, PREFIX
from lexitok.hub.stored_tensors import count

KINDS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_ALIGNMENT = 8  # of the data, as the reference implementation has it


@dataclasses.dataclass(frozen=True)
class Written:
    """A tensor to be written: its name, shape, dtype by name, and how its values are made when its turn comes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    make: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        return count(self.shape) * ITEM_BYTES[KINDS[self.dtype]]


def write_tensors(folder: Path, tensors: Sequence[Written], max_bytes: int) -> None:
    """Writes one file, or several of at most `max_bytes` (or of one tensor that is larger) with their index."""
    files = _grouped(tensors, max_bytes)
    if len(files) == 1:
        _write(folder / SINGLE, files[0])
        return
    index: dict[str, str] = {}
    for i, group in enumerate(files):
        name = f"model-{i + 1:05}-of-{len(files):05}.safetensors"
        _write(folder / name, group)
        index |= {tensor.name: name for tensor in group}
    total = sum(tensor.nbytes for tensor in tensors)
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
    (folder / INDEX).write_text(text + "\n")


def _grouped(tensors: Sequence[Written], max_bytes: int) -> list[list[Written]]:
    groups: list[list[Written]] = [[]]
    for tensor in tensors:
        if groups[-1] and sum(t.nbytes for t in groups[-1]) + tensor.nbytes > max_bytes:
            groups.append([])
        groups[-1].append(tensor)
    return groups


def _write(path: Path, tensors: Sequence[Written]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # `transformers` asks for this word
    at = 0
    for tensor in tensors:
        offsets = [at, at + tensor.nbytes]
        header[tensor.name] = {"dtype": KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        at = offsets[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(PREFIX, "little") + text)
        for tensor in tensors:
            values = tensor.make()
            assert values.shape == tensor.shape and values.nbytes == tensor.nbytes, tensor.name
            file.write(np.ascontiguousarray(values).view(np.uint8).data)
