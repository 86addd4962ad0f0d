"""Reading a parallel text: two files whose lines, or whose documents line by line, are translations of each other."""

import json
from collections.abc import Iterator
from pathlib import Path

from lexitok.data.readers import SourceError, opened
from lexitok.transfer.errors import TransferError

Pair = tuple[str, str]


def read_bitext(source: str | Path, target: str | Path) -> list[Pair]:
    """Lines that are translations of each other; pairs of which one is blank are left out.

    Args:
      source, target: text files, of which line 1 goes with line 1; or JSONL files with `id` and `text`, of which the
        documents of one id go together, line by line, and those that only one has are left out. Plain or compressed.

    Raises:
      TransferError: two files, or two documents of one id, have different numbers of lines; nothing goes together; an
        id comes twice. Names what it is.
      SourceError, FileNotFoundError: a file that cannot be read.
    """
    pairs: list[Pair] = []
    for name, ours, theirs in _matched(Path(source), Path(target)):
        a, b = ours.split("\n"), theirs.split("\n")
        if len(a) != len(b):
            raise TransferError(
                f"{name} has {len(a)} lines in {source} and {len(b)} in {target}: they are not parallel"
            )
        pairs += [(x, y) for x, y in zip(a, b, strict=True) if x.strip() and y.strip()]
    if not pairs:
        raise TransferError(f"{source} and {target} have no line in common: is the parallel text empty?")
    return pairs


def _matched(source: Path, target: Path) -> Iterator[tuple[str, str, str]]:
    if ".jsonl" not in source.name:
        yield "the text", _text(source).removesuffix("\n"), _text(target).removesuffix("\n")
        return
    ours, theirs = _documents(source), _documents(target)
    for name, text in ours.items():
        if name in theirs:
            yield f"document {name!r}", text, theirs[name]


def _documents(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            name, text = str(record["id"]), str(record["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{path}:{number}: no JSON object with 'id' and 'text': {error!r}") from None
        if name in found:
            raise TransferError(f"{path}:{number}: the id {name!r} comes a second time")
        found[name] = text
    return found


def _text(path: Path) -> str:
    with opened(path) as file:
        data = file.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8: {error}") from None
