"""Windows of documents: tokens that are scored, and those before them that are context."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from lexitok.data.encoders import SubwordEncoder
from lexitok.text.merging.words import WordStarts, joins_of
from lexitok.transfer.errors import TransferError


class Window(NamedTuple):
    """Consecutive tokens of a document.

    Attributes:
      document: its number among the documents, from 0.
      ids, nbytes, joins: of the tokens: raw bytes, and whether one may be merged with the one before it.
      scored: the first that is scored; those before are context.
      offset: byte of the document at which it starts.
    """

    document: int
    ids: Int[np.ndarray, "n"]
    nbytes: Int[np.ndarray, "n"]
    joins: Bool[np.ndarray, "n"]
    scored: int
    offset: int


def windows(
    documents: Iterable[bytes], encoder: SubwordEncoder, starts: WordStarts, *, symbols: int, overlap: float
) -> Iterator[Window]:
    """Windows that score every token of every document once, the end of the document included.

    Each scores the same number of tokens, those of the part that does not overlap, with what fits before them: also the
    first of a document, which has nothing before it. So how much is context does not depend on merges.

    Args:
      documents: raw bytes; of an empty one the end is scored.
      encoder: documents to tokens.
      starts: of the words that merges stay within. No token is merged across what is scored and what is not.
      symbols: tokens of a window.
      overlap: fraction of it that is context.

    Raises:
      TransferError: `overlap` is not in [0, 1), or nothing of a window would be scored.
    """
    context = int(overlap * symbols)
    if not 0.0 <= overlap < 1.0 or symbols - context < 1:
        raise TransferError(
            f"windows of {symbols} tokens that overlap by {overlap}: at least 0 and below 1, and one is scored at least"
        )
    for number, data in enumerate(documents):
        stream = encoder.encode(data, f"document {number}")
        joins = np.append(joins_of(stream.nbytes[:-1], starts(data)), False)  # `eot` joins nothing
        before = np.cumsum(stream.nbytes, dtype=np.int64) - stream.nbytes
        for first in range(0, len(stream), symbols - context):
            start, stop = max(0, first - context), min(len(stream), first + symbols - context)
            inside = joins[start:stop].copy()
            inside[first - start] = False
            ids, nbytes = stream.symbols[start:stop], stream.nbytes[start:stop]
            yield Window(number, ids, nbytes, inside, first - start, int(before[first]))


class Placed(NamedTuple):
    """A window and the row of its batch that has it."""

    row: int
    window: Window


def groups(found: Iterable[Window], rows: int, symbols: int) -> Iterator[list[Placed]]:
    """The windows of each batch, in their order: each goes to the first row that has room for it, unmerged.

    Which windows are together does not depend on merges either.
    """
    batch, free = [], np.full(rows, symbols, np.int64)
    for window in found:
        fits = np.flatnonzero(free >= len(window.ids))
        if not len(fits):
            yield batch
            batch, free, fits = [], np.full(rows, symbols, np.int64), np.zeros(1, np.int64)
        free[fits[0]] -= len(window.ids)
        batch.append(Placed(int(fits[0]), window))
    if batch:
        yield batch
