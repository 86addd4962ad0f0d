"""Where the tensors of a GGUF lie: what follows the metadata in its header, checked against the file's length."""

import dataclasses
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from lexitok.hub.stored_tensors import MAX_SIZE, count
from lexitok.text.gguf_header import GgufCursor

Info = tuple[tuple[int, ...], int, int]  # shape, kind, offset


@dataclasses.dataclass(frozen=True)
class GgufTensor:
    """A tensor: its shape, rows first (the file has them the other way round), kind, and bytes of the file."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    begin: int
    end: int


def read_gguf_tensors(cursor: GgufCursor, tensors: int, alignment: Any, size: int) -> dict[str, GgufTensor]:
    """The tensors by name.

    Args:
      cursor: behind the metadata.
      tensors: how many there are.
      alignment: the metadata's `general.alignment`.
      size: bytes of the file.

    Raises:
      GgufError: the header is damaged; names the tensor.
    """
    infos: dict[str, Info] = {}
    for i in range(tensors):
        cursor.what = f"tensor {i}"
        name = cursor.text()
        cursor.what = f"tensor '{name:.100}'"
        if name in infos:
            cursor.refuse("is there twice")
        infos[name] = _info(cursor)
    cursor.what = "general.alignment"
    if type(alignment) is not int or not 1 <= alignment <= 2**20 or alignment & (alignment - 1):
        cursor.refuse(f"is {alignment!r:.50}, not a power of two")
    data = -(-cursor.at // alignment) * alignment
    out = {name: _tensor(cursor, name, info, data, size) for name, info in infos.items()}
    _check_apart(cursor, out)
    return out


def _info(cursor: GgufCursor) -> Info:
    dimensions = cursor.number("<u4")
    if not 1 <= dimensions <= 4:
        cursor.refuse(f"has {dimensions} dimensions")
    shape = tuple(cursor.number("<u8") for _ in range(dimensions))[::-1]
    if not all(0 < n <= MAX_SIZE for n in shape):
        cursor.refuse(f"has the impossible shape {shape}")
    return shape, cursor.number("<u4"), cursor.number("<u8")


def _tensor(cursor: GgufCursor, name: str, info: Info, data: int, size: int) -> GgufTensor:
    cursor.what = f"tensor '{name:.100}'"
    shape, kind, offset = info
    try:
        quantisation = GGMLQuantizationType(kind)
    except ValueError:
        cursor.refuse(f"has numbers of the unknown kind {kind}")
    block, block_bytes = GGML_QUANT_SIZES[quantisation]
    if shape[-1] % block:
        cursor.refuse(f"has rows of {shape[-1]} numbers, which blocks of {block} ({quantisation.name}) do not fill")
    begin = data + offset
    end = begin + count(shape) // block * block_bytes
    if end > size:
        cursor.refuse(f"ends at byte {end:,} of a file of {size:,}: the file is truncated, or lies")
    return GgufTensor(shape, quantisation, begin, end)


def _check_apart(cursor: GgufCursor, tensors: dict[str, GgufTensor]) -> None:
    last = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if tensor.begin < last:
            cursor.what = f"tensor '{name:.100}'"
            cursor.refuse("overlaps the one before it")
        last = tensor.end
