"""Scores by document, one JSON object a line: what paired comparisons are made from."""

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lexitok.runs.writing import write_whole

FILE = "documents.jsonl"
FIELDS = ("nats", "bytes", "words", "words_right", "first_nats")


class DocumentsError(ValueError):
    """A file of document scores that cannot be read; the message names the line."""


@dataclasses.dataclass(frozen=True)
class DocumentScore:
    """What a model makes of one document.

    Attributes:
      nbytes: bytes of the raw document.
      scored: those that stand in a target that was scored.
      nats: of the text, end-of-unit symbols included.
      eot_nats: of the symbol that ends the document; no text's.
      first_nats: nats of the first bytes of words; NaN where a symbol spans several bytes.
      words, words_right: words, and those all of whose symbols have the largest logit.
      lossy: the symbols stand for other bytes than the document's.
    """

    nbytes: int
    scored: int
    nats: float
    eot_nats: float
    first_nats: float
    words: int
    words_right: int
    lossy: bool


@dataclasses.dataclass(frozen=True)
class DocumentScores:
    """Sums of `n` documents, in the order in which they were evaluated: float64 `[n]` each.

    Attributes:
      nats, bytes: of the text, see `DocumentScore`.
      words, words_right: words, and those that are right.
      first_nats: of the first bytes of words; NaN where symbols span several bytes.
    """

    nats: np.ndarray
    bytes: np.ndarray
    words: np.ndarray
    words_right: np.ndarray
    first_nats: np.ndarray

    def __len__(self) -> int:
        return len(self.nats)


def write_documents(path: Path, scores: Iterable[DocumentScore]) -> None:
    """Writes a line for each document, in order; a measure that is not defined is null."""
    lines = []
    for s in scores:
        values = (s.nats, s.nbytes, s.words, s.words_right, s.first_nats if math.isfinite(s.first_nats) else None)
        lines.append(json.dumps(dict(zip(FIELDS, values, strict=True))) + "\n")
    write_whole(path, "".join(lines))


def read_documents(path: Path) -> DocumentScores:
    """Reads what `write_documents` wrote.

    Raises:
      DocumentsError: a line is not an object of numbers; names it.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            rows.append([math.nan if record[field] is None else float(record[field]) for field in FIELDS])
        except (ValueError, TypeError, KeyError) as error:
            raise DocumentsError(f"{path}, line {number} is not a document's scores: {error!r}") from error
    return DocumentScores(*np.array(rows, np.float64).reshape(-1, len(FIELDS)).T)
