"""One document as two streams, cut where both of them end: every piece is the same bytes in two tokenisations.

Only where a symbol of both streams ends at the same byte can a piece end, so no span of the alignment is ever cut, and
each byte is the target of one position of either side (`lexitok.data.ranges`). A document in which no such place is
within reach is refused: to cut one side in the middle of a symbol is not possible, and to leave bytes out is not done.

Symbols without bytes go with what they stand for: end-of-unit symbols with the unit that they close, others (the space
that a tokenizer puts in front, further slots) with what follows them; `eot` ends the last piece of both.
"""

import dataclasses

import numpy as np

from lexitok.data.batch import Budget
from lexitok.data.layout import Piece, pieces_at
from lexitok.data.predictions import Predictions
from lexitok.data.ranges import ranges
from lexitok.text.alignment import TokenEnds, align
from lexitok.text.boundaries import SymbolStream


def cut_together(
    first: SymbolStream,
    second: SymbolStream,
    budgets: tuple[Budget, Budget],
    classes: tuple[np.ndarray, np.ndarray],
    source: str = "text",
    predictions: Predictions | None = None,
) -> list[Piece]:
    """The pieces of the first stream, each with the same bytes of the second and the alignment of both.

    Args:
      first, second: streams of one document.
      budgets: of a row, for each.
      classes: of each vocabulary (`lexitok.text.alignment.classes_of`).
      source: what errors call the document.
      predictions: of a teacher, at the targets of the second stream, which its pieces then have.

    Raises:
      ValueError: a budget is too small; where the streams end together too seldom for it, names the document, the byte
        and what the next place would take.
    """
    found = ranges((first, second), budgets, source=source)
    starts = np.array([[a.start, b.start] for a, b in found], np.int64).T
    ours, theirs = (pieces_at(stream, at) for stream, at in zip((first, second), starts, strict=True))
    if predictions is not None:
        theirs = _predicted(theirs, starts[1], predictions)
    return [paired(a, b, classes) for a, b in zip(ours, theirs, strict=True)]


def paired(first: Piece, second: Piece, classes: tuple[np.ndarray, np.ndarray]) -> Piece:
    """The first piece, with the second, of the same bytes, and the alignment of both."""
    alignment = align(_ends(first, classes[0]), _ends(second, classes[1]))
    return dataclasses.replace(first, second=second, alignment=alignment)


def _predicted(pieces: list[Piece], starts: np.ndarray, predictions: Predictions) -> list[Piece]:
    """The pieces, each with its part of the predictions."""
    parts = (predictions.part(start, start + len(piece)) for piece, start in zip(pieces, starts.tolist(), strict=True))
    return [dataclasses.replace(piece, predictions=part) for piece, part in zip(pieces, parts, strict=True)]


def _ends(piece: Piece, classes: np.ndarray) -> TokenEnds:
    return TokenEnds(np.cumsum(piece.nbytes, dtype=np.int64), classes[piece.targets])
