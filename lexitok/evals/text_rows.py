"""Rows of text of one length, each read from `bos` on: what probes of token models look at."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.layout import Piece
from lexitok.data.placement import put_batch
from lexitok.data.rows import pack_rows
from lexitok.text.vocabulary import Vocabulary


class ProbeError(ValueError):
    """A model or a text that a probe cannot be made of; the message says why."""


@dataclasses.dataclass(frozen=True)
class Stretches:
    """`n` stretches of `S` symbols of documents.

    Attributes:
      symbols: int32 `[n, S]`.
      nbytes: int32 `[n, S]`, raw bytes that each stands for.
      documents: int64 `[n]`, the document that each stretch is of.
    """

    symbols: np.ndarray
    nbytes: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.symbols)


def stretches(encoder: Encoder, documents: Sequence[bytes], symbols: int, *, each: int = 1) -> Stretches:
    """The first `symbols` symbols of every document that has as many, and the next ones, up to `each` stretches of it.

    Args:
      encoder: of a `TokenLM`.
      documents: raw bytes; shorter ones are passed over.
      symbols: `S`.
      each: stretches of a document, at most; one follows the other without a gap.

    Raises:
      ProbeError: the model has units of several symbols, or no document is long enough.
    """
    if encoder.rule.has_units:
        raise ProbeError(
            f"probes by position are of models whose every symbol is a unit (text.kind 'bytes' or 'subword'); this "
            f"one has text.kind '{encoder.kind}'"
        )
    if symbols < 1 or each < 1:
        raise ProbeError(f"{symbols} symbols in each of {each} stretches a document: both are 1 at least")
    found, longest = [], 0
    for number, data in enumerate(documents):
        document = encoder.encode(data, f"document {number}")
        text = len(document) - 1  # the end of the document is not text
        longest = max(longest, text)
        for start in range(0, min(text // symbols, each) * symbols, symbols):
            at = slice(start, start + symbols)
            found.append((document.symbols[at], document.nbytes[at], number))
    if not found:
        raise ProbeError(
            f"none of {len(documents)} documents has {symbols} symbols (the longest has {longest}): ask for fewer, or "
            "for other text"
        )
    ids, nbytes, numbers = zip(*found, strict=True)
    return Stretches(np.stack(ids).astype(np.int32), np.stack(nbytes).astype(np.int32), np.array(numbers, np.int64))


def row_batches(
    symbols_NxS: np.ndarray, vocabulary: Vocabulary, *, rows: int, seed: int = 0
) -> Iterator[tuple[Batch, int]]:
    """Batches of one shape in which every symbol is a target, and how many of their rows are filled.

    Args:
      symbols_NxS: a row for each of `N` texts; the model reads `bos` and all but the last symbol.
      vocabulary: of the symbols.
      rows: of a batch; the last is filled with empty rows.
      seed: of what the model draws at random for each row.
    """
    for number, start in enumerate(range(0, len(symbols_NxS), rows)):
        pieces = [[_piece(row, vocabulary)] for row in symbols_NxS[start : start + rows]]
        filled = len(pieces)
        pieces += [[]] * (rows - filled)
        S = symbols_NxS.shape[1]
        yield pack_rows(pieces, symbols=S, units=None, pad=vocabulary.pad, seed=(seed, number)), filled


def over_rows(
    function: Callable[[Batch], Any], symbols_NxS: np.ndarray, vocabulary: Vocabulary, *, rows: int, seed: int = 0
) -> Any:
    """What a function makes of the rows, on the host.

    Args:
      function: of a batch on the devices to a tree of arrays `[B, ...]`.
      symbols_NxS, vocabulary, rows, seed: as of `row_batches`.

    Returns:
      The tree, its arrays numpy `[N, ...]`.
    """
    found = []
    for batch, filled in row_batches(symbols_NxS, vocabulary, rows=rows, seed=seed):
        out = jax.device_get(function(put_batch(batch)))
        found.append(jax.tree.map(lambda x, filled=filled: x[:filled], out))
    return jax.tree.map(lambda *x: np.concatenate(x), *found)


def _piece(row: np.ndarray, vocabulary: Vocabulary) -> Piece:
    each = np.arange(len(row), dtype=np.int32)
    return Piece(
        symbols=np.append(np.int32(vocabulary.bos), row[:-1]).astype(np.int32),
        targets=row.astype(np.int32),
        weights=np.ones(len(row), np.float32),
        nbytes=vocabulary.lengths[row],
        unit_of=each,
        guide_of=each,
        units=len(row),
    )
