"""Somebody's own log of a text: for each document its tokens, and what was said of them."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


class AuditError(ValueError):
    """A log that cannot be read, or is not about the text; the message names the line or the document."""


@dataclasses.dataclass(frozen=True)
class TokenLog:
    """One document of `n` tokens.

    Attributes:
      ids: int64 `[n]`.
      nats: float64 `[n]`, what each token took (its log-probability, with the other sign); NaN where it was not scored.
        None: no model was asked.
      nbytes: int64 `[n]`, for how many bytes each token was counted; None: it was not said.
    """

    ids: np.ndarray
    nats: np.ndarray | None = None
    nbytes: np.ndarray | None = None

    def __post_init__(self) -> None:
        for what in ("nats", "nbytes"):
            values = getattr(self, what)
            if values is not None and len(values) != len(self.ids):
                raise AuditError(f"there are {len(self.ids)} ids and {len(values)} {what}")


def read_log(path: Path) -> Iterator[TokenLog]:
    """The documents of a JSONL file, one a line.

    A line has `ids`, and may have `logprobs` (natural logarithms; null where a token was not scored) and `bytes` (for
    how many each token was counted).

    Raises:
      AuditError: there is no file, or a line is something else; names it.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield _log(json.loads(line))
                except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                    raise AuditError(f"{path}:{number} is no document of a log: {_said(error)}") from error


def write_log(path: Path, logs: Iterable[TokenLog]) -> None:
    """What `read_log` reads, to the last digit."""
    with path.open("w", encoding="utf-8") as file:
        for log in logs:
            record: dict[str, Any] = {"ids": log.ids.tolist()}
            if log.nats is not None:
                record["logprobs"] = [None if np.isnan(x) else -x for x in log.nats.tolist()]
            if log.nbytes is not None:
                record["bytes"] = log.nbytes.tolist()
            file.write(json.dumps(record) + "\n")


def _log(record: dict[str, Any]) -> TokenLog:
    ids, nbytes = (_integers(record[key], key) if key in record else None for key in ("ids", "bytes"))
    if ids is None:
        raise AuditError(f"it has {sorted(record)}, and no ids")
    nats = None
    if "logprobs" in record:
        said = record["logprobs"]
        logprobs = np.array([np.nan if x is None else float(x) for x in said], np.float64)
        is_none = np.array([x is None for x in said], bool)
        if (bad := np.flatnonzero((logprobs > 0) | ~(np.isfinite(logprobs) | is_none))).size:
            raise AuditError(f"logprobs[{bad[0]}] is {logprobs[bad[0]]}, which is no logarithm of a probability")
        nats = -logprobs
    return TokenLog(ids, nats, nbytes)


def _integers(values: Any, key: str) -> np.ndarray:
    found = np.array(values)
    if found.ndim != 1 or (found.size and found.dtype.kind != "i"):
        raise AuditError(f"{key} is no list of integers")
    return found.astype(np.int64)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, AuditError) else repr(error)
