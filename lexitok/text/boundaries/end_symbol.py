"""Rule `end_symbol` (HAT v1, Learn Your Tokens): a symbol of its own closes a unit, and opens the next as its slot."""

import dataclasses
from typing import ClassVar

import numpy as np

from lexitok.text.boundaries.rule import EMPTY_UNIT, FULL_UNIT, OPEN_UNIT, BoundaryRule, Indices
from lexitok.text.boundaries.stream import SymbolStream, symbol_stream
from lexitok.text.boundaries.work import Close, Cursor, Read
from lexitok.text.segmentation import Segmentation
from lexitok.text.vocabulary import Vocabulary


class EndSymbolCursor:
    """Boundary rule `end_symbol`: a unit is opened by `bos` or by the symbol that closes the unit before.

    Further slots of a unit are read behind that, without being asked for.

    Attributes:
      length: symbols so far, further slots included.
    """

    def __init__(self, end_of_unit: int, slots: int = 1):
        self.length = 0
        self._end_of_unit = end_of_unit
        self._slots = slots
        self._unit = 0
        self._start = 0

    @property
    def open_bytes(self) -> int:
        """Bytes of the unit that is open."""
        return self.length - self._start - self._slots

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        position = self.length
        if symbol != self._end_of_unit and position:
            self.length += 1
            return [Read(symbol, position, self._unit)]
        work: list[Read | Close] = []
        if position:
            work.append(Close(self._unit, self._start, position))
            self._unit += 1
            self._start = position
        self.length += self._slots
        slots = range(self._slots)
        more = [Read(self._end_of_unit if i else symbol, position + i, self._unit, i) for i in slots]
        return [*work, *more]


@dataclasses.dataclass(frozen=True)
class EndSymbol(BoundaryRule):
    """The bytes of each unit and a symbol that closes it. That symbol is the first slot of the next unit; the further
    slots of a unit stand behind it, as the same symbol, and are not predicted. `bos` opens the first unit. A position
    sees the unit before its own."""

    name: ClassVar[str] = "end_symbol"
    bos_is_unit: ClassVar[bool] = False
    opens_units: ClassVar[bool] = True
    marks: ClassVar[str] = "symbol"

    @property
    def end_of_unit(self) -> int:
        assert self.alphabet is not None
        return self.alphabet.end_of_unit

    def stream(self, symbols: np.ndarray, units: Segmentation | None) -> SymbolStream:
        assert self.alphabet is not None and units is not None
        alphabet = self.alphabet
        more = self.slots - 1  # slots of a unit that are not the symbol that closed the one before
        unit = np.cumsum(units.starts, dtype=np.int64) - 1  # of each byte
        count = int(unit[-1]) + 1 if len(unit) else 0
        stream = np.full(len(symbols) + count * (1 + more) + more + 1, alphabet.end_of_unit, np.int32)
        at = np.arange(len(symbols)) + unit * (1 + more) + more
        stream[at] = symbols
        stream[-1] = alphabet.eot
        closes = np.zeros(len(stream), bool)
        closes[at[units.ends() - 1] + 1] = True  # what stands behind the last byte of each unit
        closes[-1] = True
        nbytes = np.zeros(len(stream), np.int32)
        nbytes[at] = 1
        predicted = closes | (nbytes > 0)
        return symbol_stream(stream, closes, np.cumsum(closes), self.name, alphabet.bos, nbytes, predicted)

    @staticmethod
    def indices(before: np.ndarray, through: np.ndarray, known: np.ndarray, begins: np.ndarray) -> Indices:
        return through, through - 1

    def cursor(self) -> Cursor:
        return EndSymbolCursor(self.end_of_unit, self.slots)

    def positions(self, symbols: list[int], bos: int) -> int:
        return len(symbols) + (self.slots - 1) * sum(symbol in (bos, self.end_of_unit) for symbol in symbols)

    def allowed_next(self, vocabulary: Vocabulary, V: int) -> np.ndarray:
        allowed = super().allowed_next(vocabulary, V)
        allowed[FULL_UNIT] = False
        allowed[OPEN_UNIT:, self.end_of_unit] = True
        return allowed

    def room(self, cursor: Cursor) -> int:
        if cursor.open_bytes == 0:
            return EMPTY_UNIT
        return OPEN_UNIT if self.longest > cursor.open_bytes else FULL_UNIT

    def with_ends(self, symbols: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return np.insert(symbols, ends, self.end_of_unit)
