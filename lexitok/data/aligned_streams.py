"""One document as several streams, cut where all of them end: every piece is the same bytes in each tokenisation.

Only where symbols of all streams end at the same byte can a piece end, so no span of an alignment is ever cut, and each
byte is the target of one position of every stream (`lexitok.data.ranges`). A document in which no such place is within
reach is refused: to cut a stream in the middle of a symbol is not possible, and to leave bytes out is not done.

Symbols without bytes go with what they stand for: end-of-unit symbols with the unit that they close, others (the space
that a tokenizer puts in front, further slots) with what follows them; `eot` ends the last piece of each.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lexitok.data.batch import Budget
from lexitok.data.layout import Piece, pieces_at
from lexitok.data.predictions import Predictions
from lexitok.data.ranges import ranges
from lexitok.text.alignment import TokenEnds, align
from lexitok.text.boundaries import SymbolStream


def cut_together(
    streams: Sequence[SymbolStream],
    budgets: Sequence[Budget],
    classes: Sequence[np.ndarray],
    source: str = "text",
    predictions: Sequence[Predictions | None] = (),
) -> list[Piece]:
    """The pieces of the first stream, each with the same bytes of the others, aligned with it.

    Args:
      streams: of one document.
      budgets: of a row, for each.
      classes: of each vocabulary (`lexitok.text.alignment.classes_of`).
      source: what errors call the document.
      predictions: of teachers, at the targets of the streams behind the first, whose pieces then have them; None for
        those that have none, empty: for all.

    Raises:
      ValueError: a budget is too small; where the streams end together too seldom for it, names the document, the byte
        and what the next place would take.
    """
    found = ranges(streams, budgets, source=source)
    starts = np.array([[each.start for each in at] for at in found], np.int64).T
    sides = [pieces_at(stream, at) for stream, at in zip(streams, starts, strict=True)]
    for number, kept in enumerate(predictions, 1):
        if kept is not None:
            sides[number] = _predicted(sides[number], starts[number], kept)
    return [aligned(pieces, classes) for pieces in zip(*sides, strict=True)]


def aligned(pieces: Sequence[Piece], classes: Sequence[np.ndarray]) -> Piece:
    """The first piece, with the others, of the same bytes, and their alignments."""
    first, *others = pieces
    ends = _ends(first, classes[0])
    found = (align(ends, _ends(piece, kind)) for piece, kind in zip(others, classes[1:], strict=True))
    others = [dataclasses.replace(piece, alignment=each) for piece, each in zip(others, found, strict=True)]
    return dataclasses.replace(first, others=tuple(others))


def _predicted(pieces: list[Piece], starts: np.ndarray, predictions: Predictions) -> list[Piece]:
    """The pieces, each with its part of the predictions."""
    parts = (predictions.part(start, start + len(piece)) for piece, start in zip(pieces, starts.tolist(), strict=True))
    return [dataclasses.replace(piece, predictions=part) for piece, part in zip(pieces, parts, strict=True)]


def _ends(piece: Piece, classes: np.ndarray) -> TokenEnds:
    return TokenEnds(np.cumsum(piece.nbytes, dtype=np.int64), classes[piece.targets])
