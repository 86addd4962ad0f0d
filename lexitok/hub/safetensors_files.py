"""A checkpoint directory in Hugging Face layout: `model.safetensors`, or shards and an index that names them."""

import json
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from lexitok.hub.safetensors_header import Entry, read_header
from lexitok.hub.stored_tensors import HubError, StoredTensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_INDEX = 200_000_000  # bytes
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


class SafetensorsFiles:
    """The tensors of a directory, in one file or in shards. Headers are checked when it is made; data is mapped.

    Attributes:
      path: the directory.
      tensors: by name.
    """

    def __init__(self, path: str | Path):
        """Raises:
        HubError: there is no checkpoint, a shard is missing or damaged, or a name leads out of the directory.
        """
        self.path = Path(path)
        self._maps: list[mmap.mmap] = []
        self.tensors: Mapping[str, StoredTensor] = {}
        single, index = self.path / SINGLE, self.path / INDEX
        if single.exists():
            self.tensors = self._tensors_of(inside(self.path, SINGLE), SINGLE)
        elif index.exists():
            self.tensors = self._tensors_of_shards(_weight_map(inside(self.path, INDEX)))
        else:
            there = sorted(p.name for p in self.path.iterdir())[:10] if self.path.is_dir() else []
            raise HubError(
                f"{self.path} has neither {SINGLE} nor {INDEX}; there are: {', '.join(there) or 'no files'}. Pickled "
                "checkpoints (.bin, .pt) are not read: have them converted to safetensors"
            )

    def release(self) -> None:
        """Gives back the memory that pages of mapped files take."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)

    def _tensors_of_shards(self, weight_map: dict[str, str]) -> dict[str, StoredTensor]:
        shards: dict[str, dict[str, StoredTensor]] = {}
        out = {}
        for name, file in weight_map.items():
            if file not in shards:
                shards[file] = self._tensors_of(inside(self.path, file), file)
            if name not in shards[file]:
                raise HubError(f"{self.path / INDEX} says that tensor '{name}' is in {file}, and it is not there")
            out[name] = shards[file][name]
        for file, tensors in shards.items():
            unlisted = sorted(tensors.keys() - weight_map.keys())
            if unlisted:
                raise HubError(f"{self.path / file} holds the tensor '{unlisted[0]}', which {INDEX} does not list")
        return out

    def _tensors_of(self, path: Path, file: str) -> dict[str, StoredTensor]:
        entries = read_header(path)
        with path.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps.append(mapped)
        return {
            name: StoredTensor(name, entry.shape, entry.kind, str(self.path / file), _reader(mapped, entry))
            for name, entry in entries.items()
        }


def inside(directory: Path, name: str) -> Path:
    """The file of that name in a directory.

    A link may lead out of it only as the Hugging Face cache's do: from `snapshots/REVISION` to its own `blobs`.

    Raises:
      HubError: the name, or the link that it is, leads elsewhere; or there is no such file.
    """
    if Path(name).name != name or name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise HubError(f"{directory / INDEX} names the file {name!r:.200}, which is not one of its directory; refused")
    home, target = directory.resolve(), (directory / name).resolve()
    blobs = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    if target.parent not in (home, blobs):
        raise HubError(f"{directory / name} is a link that leads to {target}, out of its directory; refused")
    if not target.is_file():
        raise HubError(f"{directory / name} is missing: the checkpoint is incomplete")
    return target


def _weight_map(index: Path) -> dict[str, str]:
    if index.stat().st_size > MAX_INDEX:
        raise HubError(f"{index} has {index.stat().st_size:,} bytes: it is no index")
    try:
        weight_map: Any = json.loads(index.read_bytes())["weight_map"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise HubError(f"{index} has no readable 'weight_map': {error!r:.200}") from error
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise HubError(f"{index}: 'weight_map' does not give a file name for each tensor")
    return weight_map


def _reader(mapped: mmap.mmap, entry: Entry) -> Callable[[int, int], np.ndarray] | None:
    if entry.kind not in _DTYPES or not entry.shape:
        return None

    def read(start: int, stop: int) -> np.ndarray:
        flat = np.frombuffer(mapped, np.uint8, entry.end - entry.begin, entry.begin)
        return flat.view(_DTYPES[entry.kind]).reshape(entry.shape)[start:stop]

    return read
