"""The header of a safetensors file, believed only after it was checked against the file's length.

The format: 8 bytes, little-endian, the length of a JSON object; the object, which gives each tensor's `dtype`, `shape`
and `data_offsets` behind it; the data, without holes (https://github.com/huggingface/safetensors, README).
"""

import json
from pathlib import Path
from typing import Any

from lexitok.hub.stored_tensors import MAX_SIZE, HubError, count

ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
MAX_HEADER = 100_000_000  # bytes, as in the reference implementation
PREFIX = 8


class Entry:
    """A tensor of the header: kind of its numbers, shape, and the bytes of the file that it takes, `begin` to `end`."""

    def __init__(self, kind: str, shape: tuple[int, ...], begin: int, end: int):
        self.kind, self.shape, self.begin, self.end = kind, shape, begin, end


def read_header(path: Path) -> dict[str, Entry]:
    """The tensors of a file, by name; offsets are from the beginning of the file.

    Raises:
      HubError: the header is damaged, or does not fit the file; names the file and the tensor.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(PREFIX), "little")
            if size < PREFIX or length > min(MAX_HEADER, size - PREFIX):
                raise HubError(
                    f"{path}: the header is said to be {length:,} bytes long, and the file has {size:,}: it is "
                    "truncated, or no safetensors file"
                )
            raw = file.read(length)
    except OSError as error:
        raise HubError(f"{path} cannot be read: {error}") from error
    entries = _entries(path, raw, PREFIX + length, size)
    _check_no_gaps(path, entries, PREFIX + length, size)
    return entries


def _entries(path: Path, raw: bytes, data: int, size: int) -> dict[str, Entry]:
    try:
        header = json.loads(raw, object_pairs_hook=lambda pairs: _unique(path, pairs))
    except (ValueError, RecursionError) as error:
        if isinstance(error, HubError):
            raise
        raise HubError(f"{path}: the header is not JSON ({error}); the file is damaged") from error
    if not isinstance(header, dict):
        raise HubError(f"{path}: the header is not a JSON object; the file is damaged")
    return {name: _entry(path, name, entry, data, size) for name, entry in header.items() if name != "__metadata__"}


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise HubError(f"{path}: the header names '{twice}' twice; the file is damaged")
    return out


def _entry(path: Path, name: str, entry: Any, data: int, size: int) -> Entry:
    where = f"{path}: tensor '{name}'"
    if not isinstance(entry, dict):
        raise HubError(f"{where} is described by {entry!r:.80}, not by an object; the file is damaged")
    kind: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in ITEM_BYTES:
        raise HubError(f"{where} has numbers of the unknown kind {kind!r:.80}; known are {', '.join(ITEM_BYTES)}")
    if not _whole_numbers(shape) or len(shape) > 8 or max(shape, default=0) > MAX_SIZE:
        raise HubError(f"{where} has the shape {shape!r:.80}, which is none; the file is damaged")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise HubError(f"{where} has the offsets {offsets!r:.80}, which are none; the file is damaged")
    begin, end = data + offsets[0], data + offsets[1]
    wanted = count(tuple(shape)) * ITEM_BYTES[kind]
    if end - begin != wanted:
        raise HubError(f"{where} is {kind}{shape}, {wanted:,} bytes, but its offsets hold {end - begin:,}")
    if end > size:
        raise HubError(f"{where} ends at byte {end:,} of a file of {size:,} bytes: the file is truncated")
    return Entry(kind, tuple(shape), begin, end)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def _check_no_gaps(path: Path, entries: dict[str, Entry], data: int, size: int) -> None:
    at = data
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != at:
            what = "overlaps the one before it" if entry.begin < at else f"leaves {entry.begin - at:,} bytes before it"
            raise HubError(f"{path}: tensor '{name}' {what}; the file is damaged")
        at = entry.end
    if at != size:
        raise HubError(f"{path}: {size - at:,} bytes at the end belong to no tensor; the file is damaged")
