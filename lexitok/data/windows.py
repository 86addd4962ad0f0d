"""Whole documents as batches for evaluation: every byte scored once, long documents through sliding windows."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lexitok.data.aligned_streams import aligned
from lexitok.data.batch import Batch, Budget, Tokenisation, row_seeds
from lexitok.data.encoders import Encoder
from lexitok.data.layout import Piece, make_piece
from lexitok.data.ranges import Range, ranges
from lexitok.data.rows import Rows
from lexitok.text.alignment import classes_of
from lexitok.text.chats import turns_of


@dataclasses.dataclass(frozen=True)
class ScoredRange:
    """Consecutive targets of a batch that are scored, and where in their document they are.

    Attributes:
      document: its number among the documents, from 0.
      row, column: of the first target in the batch.
      start: index of the first target in the document's stream of symbols.
      offset: byte of the raw document at which the first target starts; for the others, add up `bytes_BxS`.
      length: how many targets.
      others: the same bytes in the batch's other tokenisations.
    """

    document: int
    row: int
    column: int
    start: int
    offset: int
    length: int
    others: "tuple[ScoredRange, ...]" = ()


ScoredBatch = tuple[Batch, tuple[ScoredRange, ...]]


def eval_batches(
    documents: Iterable[bytes],
    encoder: Encoder,
    others: Sequence[Tokenisation] = (),
    *,
    vocabulary: Any = None,
    rows: int,
    symbols: int,
    units: int,
    overlap: float,
    chats: bool = False,
) -> Iterator[ScoredBatch]:
    """Batches that score every symbol of every document exactly once, and what each of them scores.

    Args:
      documents: raw bytes; of an empty one the end (`eot`) is scored.
      encoder: documents to symbols.
      others: tokenisations of the same bytes, which each batch then holds beside the first, aligned with it.
      vocabulary: of all batches (`Batch.vocabulary`); None: the model's.
      rows: of a batch, which is filled until a window fits into none of them; the last batch is padded.
      symbols, units: budgets of a row (`units` for boundaries other than `none`).
      overlap: fraction of a window of a long document that is context for the rest.
      chats: whether the caller knows that of chats, read as such, some symbols are not predicted.

    Raises:
      InvalidUtf8Error: the alphabet cannot hold a document; names its number and the offset.
      ValueError: as `lexitok.data.ranges.ranges`; a chat, where none are expected or an encoder has no template.
    """
    encoders = [encoder, *(other.encoder for other in others)]
    budgets = [Budget.of(encoder, symbols, units), *(other.budget for other in others)]
    classes = [classes_of(each.vocabulary) for each in encoders] if others else []
    open_batch = _OpenBatch(rows, budgets, vocabulary)
    for number, data in enumerate(documents):
        if turns_of(data) and not (chats and all(hasattr(each, "chat") for each in encoders)):
            how = "of which this would measure what is only read, too" if not chats else "and is read by no template"
            raise ValueError(f"document {number} is a chat, {how}")
        streams = [each.encode(data, f"document {number}") for each in encoders]
        before = [np.cumsum(stream.nbytes, dtype=np.int64) - stream.nbytes for stream in streams]
        for window in ranges(streams, budgets, overlap, f"document {number}"):
            pieces = [make_piece(stream, *each) for stream, each in zip(streams, window, strict=True)]
            piece = aligned(pieces, classes) if others else pieces[0]
            row = open_batch.rows.row_for(piece)
            if row is None:
                yield open_batch.flush()
                row = 0
            open_batch.put(row, number, piece, window, before)
    if open_batch.scored:
        yield open_batch.flush()


class _OpenBatch:
    """The batch that is being filled: its rows, and what they score."""

    def __init__(self, rows: int, budgets: Sequence[Budget], vocabulary: Any):
        self._budgets, self._count, self._vocabulary, self._flushed = budgets, rows, vocabulary, 0
        self._empty()

    def _empty(self) -> None:
        first, *others = self._budgets
        self.rows = Rows(self._count, first, others, fit="first")
        self.scored: list[ScoredRange] = []

    def put(self, row: int, document: int, piece: Piece, window: tuple[Range, ...], before: list[np.ndarray]) -> None:
        """Puts a piece into a row, and notes what it scores."""
        found = []
        for each, nbytes, column in zip(window, before, self.rows.put(row, piece), strict=True):
            at, length = column + each.scored - each.start, each.stop - each.scored
            found.append(ScoredRange(document, row, at, each.scored, int(nbytes[each.scored]), length))
        first, *others = found
        self.scored.append(dataclasses.replace(first, others=tuple(others)))

    def flush(self) -> ScoredBatch:
        """The batch and what it scores; holds nothing after that."""
        seeds_B = row_seeds(self._count, 0, self._flushed)
        batch = dataclasses.replace(self.rows.batch, seeds_B=seeds_B, vocabulary=self._vocabulary)
        scored = tuple(self.scored)
        self._flushed += 1
        self._empty()
        return batch, scored
