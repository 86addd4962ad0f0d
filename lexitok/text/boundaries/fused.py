"""Rule `fused` (Bolmo): as `revealed`; each symbol says of its byte whether a unit ends behind it."""

import dataclasses
from typing import ClassVar

import numpy as np

from lexitok.text.boundaries.revealed import ClosingCursor, Revealed
from lexitok.text.boundaries.rule import EMPTY_UNIT, FULL_UNIT, OPEN_UNIT
from lexitok.text.boundaries.stream import SymbolStream, symbol_stream
from lexitok.text.boundaries.work import Cursor
from lexitok.text.segmentation import Segmentation
from lexitok.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Fused(Revealed):
    """The bytes, each with what it says of the end of its unit; the alphabet has every symbol twice."""

    name: ClassVar[str] = "fused"
    marks: ClassVar[str] = "byte"

    @property
    def _more(self) -> int:
        """What a symbol is higher than its byte's, where a unit ends with it."""
        assert self.alphabet is not None
        return self.alphabet.fused

    def stream(self, symbols: np.ndarray, units: Segmentation | None) -> SymbolStream:
        assert self.alphabet is not None and units is not None
        ends = np.zeros(len(symbols) + 1, bool)
        ends[units.ends() - 1] = True
        ends[-1] = True
        marked = np.append(symbols + self._more * ends[:-1], self.alphabet.eot)
        return symbol_stream(marked, ends, np.cumsum(ends), self.name, self.alphabet.bos)

    def cursor(self) -> Cursor:
        more = self._more  # all that a cursor holds is copied with it: not the rule, whose splitter may be a tokenizer
        return ClosingCursor(lambda symbol: symbol >= more)

    def allowed_next(self, vocabulary: Vocabulary, V: int) -> np.ndarray:
        allowed = super().allowed_next(vocabulary, V)
        allowed[FULL_UNIT, : self._more] = False
        return allowed

    def room(self, cursor: Cursor) -> int:
        if cursor.open_bytes == 0:
            return EMPTY_UNIT
        # It is the last byte itself that has to say that the unit ends.
        return OPEN_UNIT if self.longest - cursor.open_bytes > 1 else FULL_UNIT

    def with_ends(self, symbols: np.ndarray, ends: np.ndarray) -> np.ndarray:
        symbols = symbols.copy()
        symbols[ends - 1] += self._more
        return symbols
