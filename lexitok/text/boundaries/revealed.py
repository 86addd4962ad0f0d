"""Rule `revealed` (SpaceByte, BLT, AU-Net, H-Net): a unit ends with the byte that reveals it, and that byte sees it."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from lexitok.text.boundaries.rule import BoundaryRule, Indices
from lexitok.text.boundaries.stream import SymbolStream, symbol_stream
from lexitok.text.boundaries.work import Close, Cursor, Read
from lexitok.text.segmentation import Segmentation, Splitter


def revealed_ends(closed: np.ndarray, longest: int) -> np.ndarray:
    """Bool `[n]`: the bytes that reveal that a unit has ended, and every `longest`-th after the last that did.

    Args:
      closed: `Segmentation.closed`.
      longest: bytes of the longest unit.
    """
    return longest_ends(np.diff(closed, prepend=0) > 0, longest)


def longest_ends(ends: np.ndarray, longest: int) -> np.ndarray:
    """Bool `[n]`: `ends`, and every `longest`-th byte after the last of them."""
    at = np.arange(len(ends))
    last_before = np.maximum.accumulate(np.append(-1, np.where(ends, at, -1)[:-1])) if len(ends) else at
    return ends | ((at - last_before) % longest == 0)


class ClosingCursor:
    """Boundary rules `revealed` and `fused`: a unit ends with the position that says so; `bos` is one by itself.

    Attributes:
      length: symbols so far.
    """

    def __init__(self, ends_unit: Callable[[int], bool]):
        """`ends_unit` is told of each symbol after `bos`, in their order."""
        self.length = 0
        self._ends_unit = ends_unit
        self._closed = 0
        self._start = 0

    @property
    def open_bytes(self) -> int:
        """Bytes of the unit that is open."""
        return self.length - self._start

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        position = self.length
        self.length += 1
        if position and not self._ends_unit(symbol):
            return [Read(symbol, position)]
        closed = Close(self._closed, self._start, self.length)
        self._closed += 1
        self._start = self.length
        return [closed, Read(symbol, position)]


class Revealing:
    """Whether a unit ends with a byte, under boundary rule `revealed` (`revealed_ends`)."""

    def __init__(self, splitter: Splitter):
        self._stream = splitter.stream()
        self._longest = splitter.max_unit_bytes
        self._since = 0  # bytes since the splitter last said that a unit has ended

    def __call__(self, symbol: int) -> bool:
        self._since += 1
        ends = bool(self._stream.push(symbol))
        overdue = self._since % self._longest == 0
        if ends:
            self._since = 0
        return ends or overdue


@dataclasses.dataclass(frozen=True)
class Revealed(BoundaryRule):
    """The bytes; `bos` and `eot` are units of their own."""

    name: ClassVar[str] = "revealed"

    def stream(self, symbols: np.ndarray, units: Segmentation | None) -> SymbolStream:
        assert self.alphabet is not None and units is not None
        ends = np.append(revealed_ends(units.closed, self.longest), True)
        return symbol_stream(np.append(symbols, self.alphabet.eot), ends, np.cumsum(ends), self.name, self.alphabet.bos)

    @staticmethod
    def indices(before: np.ndarray, through: np.ndarray, known: np.ndarray, begins: np.ndarray) -> Indices:
        return np.where(begins, 0, before + 1), through  # counted with `bos`, `through` is the newest complete unit

    def cursor(self) -> Cursor:
        assert self.splitter is not None
        return ClosingCursor(Revealing(self.splitter))
