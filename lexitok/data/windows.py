"""Whole documents as batches for evaluation: every byte scored once, long documents through sliding windows."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from lexitok.data.batch import Batch, Budget, Rows, row_seeds
from lexitok.data.encoders import Encoder
from lexitok.data.layout import longest_stop, make_piece
from lexitok.text.boundaries import RULES, SymbolStream


@dataclasses.dataclass(frozen=True)
class Span:
    """A run of scored targets in a batch, and where in its document it is.

    Attributes:
      document: its number among the documents, from 0.
      row, column: of its first target in the batch.
      start: index of its first target in the document's stream of symbols.
      offset: byte of the raw document at which its first target starts; for the others, add up `bytes_BxS`.
      length: how many targets.
    """

    document: int
    row: int
    column: int
    start: int
    offset: int
    length: int


def window_ranges(stream: SymbolStream, S: int, W: int | None, overlap: float) -> Iterator[tuple[int, int, int]]:
    """Windows of a document's stream: (start, stop, first scored symbol). Scored parts follow each other without a gap.

    A window begins at the end of a unit, with at most the fraction `overlap` of both budgets before what it scores;
    with less where otherwise it would score nothing.

    Raises:
      ValueError: `overlap` is not in [0, 1), or a budget is too small to make progress.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; it is a fraction of a window, at least 0 and below 1")
    ends = np.flatnonzero(stream.unit_ends) + 1
    scored = 0
    while scored < len(stream):
        before = ends[: np.searchsorted(ends, scored, "right")]  # where units end, up to what is to be scored
        first = int(np.searchsorted(before, max(0, scored - int(overlap * S))))
        if W is not None and not RULES[stream.boundary].by_model:
            first = max(first, len(before) - 1 - int(overlap * W))
        start = int(before[first]) if len(before) > first and scored else scored
        stop = longest_stop(stream, start, S, W)
        if stop <= scored:
            start, stop = scored, longest_stop(stream, scored, S, W)
        yield start, stop, scored
        scored = stop


def eval_batches(
    documents: Iterable[bytes], encoder: Encoder, *, rows: int, symbols: int, units: int, overlap: float
) -> Iterator[tuple[Batch, tuple[Span, ...]]]:
    """Batches that score every symbol of every document exactly once, and the spans that each of them scores.

    Args:
      documents: raw bytes; of an empty one the end (`eot`) is scored.
      encoder: documents to symbols.
      rows: of a batch, which is filled until a window fits into none of them; the last batch is padded.
      symbols, units: budgets of a row (`units` for boundaries other than `none`).
      overlap: fraction of a window of a long document that is context for the rest.

    Raises:
      InvalidUtf8Error: the alphabet cannot hold a document; names its number and the offset.
      ValueError: as `window_ranges`.
    """
    filling = _Filling(rows, Budget.of(encoder, symbols, units))
    for number, data in enumerate(documents):
        stream = encoder.encode(data, f"document {number}")
        before = np.cumsum(stream.nbytes, dtype=np.int64) - stream.nbytes
        for start, stop, scored in window_ranges(stream, filling.budget.S, filling.budget.W, overlap):
            piece = make_piece(stream, start, stop, scored)
            row = filling.rows.row_for(piece)
            if row is None:
                yield filling.flush()
                row = 0
            column = filling.rows.put(row, piece) + scored - start
            filling.spans.append(Span(number, row, column, scored, int(before[scored]), stop - scored))
    if filling.spans:
        yield filling.flush()


class _Filling:
    """The batch that is being filled: its rows, and what they score."""

    def __init__(self, rows: int, budget: Budget):
        self.budget, self._count, self._flushed = budget, rows, 0
        self._empty()

    def _empty(self) -> None:
        self.rows = Rows(self._count, self.budget, fit="first")
        self.spans: list[Span] = []

    def flush(self) -> tuple[Batch, tuple[Span, ...]]:
        """The batch and its spans; holds nothing after that."""
        batch = dataclasses.replace(self.rows.batch, seeds_B=row_seeds(self._count, 0, self._flushed))
        spans = tuple(self.spans)
        self._flushed += 1
        self._empty()
        return batch, spans
