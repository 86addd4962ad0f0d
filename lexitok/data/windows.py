"""Whole documents as batches for evaluation: every byte scored once, long documents through sliding windows."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from lexitok.data.batch import Batch, pack_rows
from lexitok.data.encoders import Encoder
from lexitok.data.layout import Piece, longest_stop, make_piece
from lexitok.text.boundaries import SymbolStream


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


def window_ranges(
    document: SymbolStream, *, symbols: int, units: int, overlap: float
) -> Iterator[tuple[int, int, int]]:
    """Windows of a document: (start, stop, first scored symbol). Scored parts follow each other without a gap.

    A window begins at the end of a unit, with at most the fraction `overlap` of both budgets before what it scores;
    with less where otherwise it would score nothing.

    Raises:
      ValueError: `overlap` is not in [0, 1), or a budget is too small to make progress.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; it is a fraction of a window, at least 0 and below 1")
    ends = np.flatnonzero(document.unit_ends) + 1
    scored = 0
    while scored < len(document):
        before = ends[: np.searchsorted(ends, scored, "right")]  # where units end, up to what is to be scored
        least = max(0, scored - int(overlap * symbols))
        first = max(int(np.searchsorted(before, least)), len(before) - 1 - int(overlap * units), 0)
        start = int(before[first]) if len(before) > first and scored else scored
        stop = longest_stop(document, start, symbols, units)
        if stop <= scored:
            start, stop = scored, longest_stop(document, scored, symbols, units)
        yield start, stop, scored
        scored = stop


def eval_batches(
    documents: Iterable[bytes], encoder: Encoder, *, rows: int, symbols: int, units: int, overlap: float
) -> Iterator[tuple[Batch, tuple[Span, ...]]]:
    """Batches that score every symbol of every document exactly once, and the spans of what each of them scores.

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
    unit_budget = units if encoder.rule.has_units else None
    filling = _Rows(rows, symbols, unit_budget, encoder.vocabulary.pad)
    for number, data in enumerate(documents):
        document = encoder.encode(data, f"document {number}")
        before = np.cumsum(document.nbytes, dtype=np.int64) - document.nbytes
        budget = units if encoder.rule.counted else symbols + 1
        for start, stop, scored in window_ranges(document, symbols=symbols, units=budget, overlap=overlap):
            piece = make_piece(document, start, stop, scored)
            span = Span(number, 0, scored - start, scored, int(before[scored]), stop - scored)
            if not filling.add(piece, span):
                yield filling.flush()
                filling.add(piece, span)
    if filling.holds_any:
        yield filling.flush()


class _Rows:
    """Rows that are filled first-fit."""

    def __init__(self, rows: int, symbols: int, units: int | None, pad: int):
        self._rows, self._symbols, self._units, self._pad = rows, symbols, units, pad
        self._flushed = 0  # batches
        self._empty()

    def _empty(self) -> None:
        self._pieces: list[list[Piece]] = [[] for _ in range(self._rows)]
        self._free = [(self._symbols, self._units or 0)] * self._rows
        self._spans: list[Span] = []

    @property
    def holds_any(self) -> bool:
        return bool(self._spans)

    def add(self, piece: Piece, span: Span) -> bool:
        """Puts a piece into the first row that has room; False if there is none. `span` counts from the piece."""
        needed_symbols, needed_units = len(piece.symbols), 0 if self._units is None else piece.units
        for row, (symbols, units) in enumerate(self._free):
            if symbols >= needed_symbols and units >= needed_units:
                self._free[row] = symbols - needed_symbols, units - needed_units
                self._pieces[row].append(piece)
                column = self._symbols - symbols + span.column
                self._spans.append(dataclasses.replace(span, row=row, column=column))
                return True
        return False

    def flush(self) -> tuple[Batch, tuple[Span, ...]]:
        """The batch of what is held; holds nothing after that."""
        seed = (0, self._flushed)
        batch = pack_rows(self._pieces, symbols=self._symbols, units=self._units, pad=self._pad, seed=seed)
        self._flushed += 1
        spans = tuple(self._spans)
        self._empty()
        return batch, spans
