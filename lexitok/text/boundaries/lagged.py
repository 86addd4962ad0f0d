"""Rule `lagged` (HAT v2): a position sees the unit before its own, as far as the splitter knew it to be complete."""

import dataclasses
from collections import deque
from typing import ClassVar

import numpy as np

from lexitok.text.boundaries.rule import BoundaryRule, Indices
from lexitok.text.boundaries.stream import SymbolStream, symbol_stream
from lexitok.text.boundaries.work import Close, Cursor, Read
from lexitok.text.segmentation import Segmentation, Splitter, SplitterStream


class LaggedCursor:
    """Boundary rule `lagged`: the splitter says after each byte which units are complete; `bos` is one by itself.

    A unit that ends with the byte that is read is closed before the next one: no position sees a unit that holds it.

    Attributes:
      length: symbols so far.
    """

    def __init__(self, splitter: Splitter):
        self.length = 0
        self._stream: SplitterStream = splitter.stream()
        self._ends: deque[int] = deque()  # of complete units that are not closed yet, in positions
        self._closed = 0
        self._start = 0

    @property
    def open_bytes(self) -> int:
        return 0

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        position = self.length
        self.length += 1
        ends = (0,) if position == 0 else self._stream.push(symbol)
        self._ends.extend(end + 1 for end in ends)  # the byte at offset `t` is at position `t + 1`
        work: list[Read | Close] = []
        while self._ends and self._ends[0] <= position:
            end = self._ends.popleft()
            work.append(Close(self._closed, self._start, end))
            self._start = end
            self._closed += 1
        # The byte's own unit may be unknown by now; models of this rule do not ask for it.
        return [*work, Read(symbol, position)]


@dataclasses.dataclass(frozen=True)
class Lagged(BoundaryRule):
    """The bytes; `bos` and `eot` are units of their own."""

    name: ClassVar[str] = "lagged"

    def stream(self, symbols: np.ndarray, units: Segmentation | None) -> SymbolStream:
        assert self.alphabet is not None and units is not None
        ends = np.zeros(len(symbols) + 1, bool)
        ends[units.ends() - 1] = True
        ends[-1] = True
        closed = np.append(units.closed, len(units.ends()) + 1)
        return symbol_stream(np.append(symbols, self.alphabet.eot), ends, closed, self.name, self.alphabet.bos)

    @staticmethod
    def indices(before: np.ndarray, through: np.ndarray, known: np.ndarray, begins: np.ndarray) -> Indices:
        unit_of = np.where(begins, 0, before + 1)  # `bos` is unit 0
        return unit_of, np.minimum(unit_of, np.where(begins, 0, known + 1)) - 1

    def cursor(self) -> Cursor:
        assert self.splitter is not None
        return LaggedCursor(self.splitter)
