"""Files as they are given on a command line: documents without splits, caches or shuffling, and tokenizers."""

from collections.abc import Iterator
from pathlib import Path

from lexitok.data.readers import READERS, RawDocument, SourceError, matching_files
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer

_KINDS = {".jsonl": "jsonl", ".parquet": "parquet"}  # by suffix, that of a compression apart; any other is text
_COMPRESSED = (".xz", ".gz", ".zst", ".bz2")


def given_files(given: str) -> list[tuple[str, Path]]:
    """The files that are meant, each with the kind of its reader.

    Args:
      given: a path or a glob, whose suffix says the kind (`.jsonl`, `.parquet`, any other is text, each also
        compressed), or KIND:GLOB.

    Raises:
      SourceError: no file is there, or there is no such kind.
    """
    kind, colon, pattern = given.partition(":")
    if colon and kind.isidentifier() and len(kind) > 1:  # not a drive
        if kind not in READERS:
            raise SourceError(f"{given!r}: it is a path, or KIND:GLOB, of the kinds {', '.join(READERS)}")
    else:
        kind, pattern = "", given
    files = matching_files(pattern)
    if not files:
        raise SourceError(f"there is no file {pattern}")
    return [(kind or _kind(path), path) for path in files]


def given_documents(given: str, field: str = "text", max_bytes: int = 0) -> Iterator[RawDocument]:
    """The documents of `given_files`, in order, named by their files.

    Args:
      given: see `given_files`.
      field: of a record, that holds the text.
      max_bytes: of whole documents, after which no further one is read; 0: all.

    Raises:
      SourceError: a file is not there, or cannot be read.
    """
    total = 0
    for kind, path in given_files(given):
        for document in READERS[kind](path, path.name, field):
            if max_bytes and total >= max_bytes:
                return
            total += len(document.data)
            yield document


def given_tokenizer(given: str) -> Tokenizer:
    """The tokenizer in a file or directory.

    Raises:
      SourceError: there is none, or it is damaged.
    """
    try:
        return load_tokenizer(given)
    except (FileNotFoundError, ValueError) as error:
        raise SourceError(str(error)) from error


def _kind(path: Path) -> str:
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    return _KINDS.get(suffixes[-1] if suffixes else "", "text")
