"""Local files → raw documents: text, JSONL and Parquet, plain or compressed."""

import contextlib
import glob
import gzip
import io
import json
import lzma
import os
import pathlib
import re
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any, NamedTuple

import pyarrow
import pyarrow.parquet
import zstandard

from lexitok.text.chats import Turn, chat

SPLITS = ("train", "validation", "test")


class SourceError(ValueError):
    """A source that cannot be read; the message names the file and, where there is one, the line."""


class RawDocument(NamedTuple):
    """A document as it is in its source.

    Attributes:
      id: a name that stays the same wherever the source lies.
      data: its bytes.
      source: number of its source in a mixture.
      predictions: of a teacher, as `lexitok.data.predictions` keeps them; empty without.
    """

    id: str
    data: bytes
    source: int = 0
    predictions: bytes = b""


Reader = Callable[[pathlib.Path, str, str], Iterator[RawDocument]]


def matching_files(pattern: str) -> list[pathlib.Path]:
    """Files that a glob matches, sorted; `**` goes into folders, `~` is the home folder."""
    found = glob.glob(os.path.expanduser(pattern), recursive=True)
    return sorted(pathlib.Path(path) for path in found if os.path.isfile(path))


def fixed_part(pattern: str) -> pathlib.Path:
    """The folder of a glob that no wildcard is in: documents are named from there."""
    expanded = os.path.expanduser(pattern)
    magic = re.search(r"[*?\[]", expanded)
    return pathlib.Path(expanded if magic is None else expanded[: magic.start()] + "x").parent


def read_text(path: pathlib.Path, name: str, field: str) -> Iterator[RawDocument]:
    """The whole file as one document."""
    del field
    with opened(path) as file:
        yield RawDocument(name, file.read())


def read_jsonl(path: pathlib.Path, name: str, field: str) -> Iterator[RawDocument]:
    """A document a line, in `field` of a JSON object; null is an empty document, blank lines are none."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield RawDocument(f"{name}:{number}", _json_field(line, field, f"{path}:{number}"))


def read_chats(path: pathlib.Path, name: str, field: str) -> Iterator[RawDocument]:
    """A chat a line (`lexitok.text.chats`): in `field` of a JSON object, a list of `role` and `content`."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield RawDocument(f"{name}:{number}", _chat(_json_value(line, field, where), field, where))


def _chat(value: object, field: str, where: str) -> bytes:
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        raise SourceError(f"{where}: field {field!r} holds no list of turns")
    turns = []
    for number, turn in enumerate(value):
        if not isinstance(turn.get("role"), str) or not isinstance(turn.get("content"), str):
            raise SourceError(f"{where}: turn {number} has no text as `role` and `content`; it has {sorted(turn)}")
        turns.append(Turn(turn["role"], turn["content"].encode("utf-8", "surrogatepass")))
    try:
        return chat(turns)
    except ValueError as error:
        raise SourceError(f"{where}: {error}") from None


def _json_field(line: bytes, field: str, where: str) -> bytes:
    return _encoded(_json_value(line, field, where), field, where)


def _json_value(line: bytes, field: str, where: str) -> object:
    try:
        record = json.loads(line)
    except ValueError as error:  # bad JSON, or bytes that are not UTF-8
        raise SourceError(f"{where}: not JSON: {error}") from None
    if not isinstance(record, dict) or field not in record:
        there = ", ".join(map(repr, record)) if isinstance(record, dict) else f"a {type(record).__name__}"
        raise SourceError(f"{where}: no field {field!r}; there is {there or 'nothing'}. Name one in data.field.")
    return record[field]


def _encoded(value: object, field: str, where: str) -> bytes:
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")  # JSON can hold half of a surrogate pair
    if isinstance(value, bytes):
        return value
    raise SourceError(f"{where}: field {field!r} holds a {type(value).__name__}, not text")


def read_parquet(path: pathlib.Path, name: str, field: str) -> Iterator[RawDocument]:
    """A document a row, in column `field`."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if field not in columns:
                raise SourceError(f"{path}: no column {field!r}; there are {columns}. Name one in data.field.")
            row = 0
            for batch in file.iter_batches(batch_size=1024, columns=[field]):
                for value in batch.column(0).to_pylist():
                    yield RawDocument(f"{name}:{row}", _encoded(value, field, f"{path}: row {row}"))
                    row += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"{path}: not a readable Parquet file: {error}") from error


READERS: dict[str, Reader] = {"text": read_text, "jsonl": read_jsonl, "chats": read_chats, "parquet": read_parquet}


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Generator[Any]:
    """A file, decompressed as its name says; damage in it is a `SourceError` that names it."""
    decompressors: dict[str, Callable[[IO[bytes]], Any]] = {
        ".gz": gzip.open,
        ".xz": lzma.open,
        ".zst": lambda file: io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)),
    }
    decompress = decompressors.get(path.suffix)
    with path.open("rb") as raw:
        try:
            yield raw if decompress is None else decompress(raw)
        except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zstandard.ZstdError) as error:
            raise SourceError(f"{path}: damaged or cut off: {error}") from error
