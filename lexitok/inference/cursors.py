"""What to do with each symbol of a row: read it, and before that close the units that are now known to be complete.

A row's work is a queue of `Read` and `Close` in the order in which they have to take effect. It is the same for a
prompt and for what the model writes, so both go through one mechanism. The rules are those of `lexitok.data.layout`: a
position is guided by the newest unit that is closed when it is read. Where a unit ends with the position that is read,
its `Close` stands before the `Read`, and both are done in one call.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from lexitok.inference.calls import IDLE, CompletedUnits, ReadCall
from lexitok.text.segmentation import Splitter, SplitterStream


class Read(NamedTuple):
    """A symbol at its position; `unit` that it is part of and its `slot` there (-1: none), where that is known."""

    symbol: int
    position: int
    unit: int = 0
    slot: int = -1


class Close(NamedTuple):
    """Unit `index` of the row is complete: positions `start` to `end`, exclusive."""

    index: int
    start: int
    end: int


class FlatCursor:
    """Every symbol is a unit (boundary rule `none`), or the model finds the units (`model`).

    Attributes:
      length: symbols so far.
    """

    def __init__(self):
        self.length = 0

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        self.length += 1
        return [Read(symbol, self.length - 1)]


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
    """Whether a unit ends with a byte, under boundary rule `revealed` (`lexitok.data.unit_streams.revealed_ends`)."""

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


Cursor = FlatCursor | LaggedCursor | ClosingCursor | EndSymbolCursor


class Call(NamedTuple):
    """Work for all rows at once, as one call of a model takes it, in numpy; `closes` None: the model finds units."""

    reads: ReadCall
    closes: CompletedUnits | None


def next_call(queues: Sequence[deque[Read | Close]], chunk: int, *, slots: int = 1, routed: bool = False) -> Call:
    """Takes as much work off the queues as fits in a call of `chunk` reads a row and a quarter as many closes.

    If no row has more left to read than one position, or the slots of one unit, the call is for these and at most one
    unit a row: shapes come from a set of four, whatever the text. Work that does not fit waits for the next call.

    Args:
      queues: of each row.
      chunk: `T`, where any row has several symbols left.
      slots: positions that the symbol before a unit is read at.
      routed: it is the model that closes units.
    """
    longest = max(_reads(queue, slots + 1) for queue in queues)
    T, C = (chunk, max(1, chunk // 4)) if longest > slots else (1 if longest <= 1 else slots, 1)
    reads = np.full((len(queues), T, 5), IDLE, np.int32)
    closes = np.full((len(queues), C, 3), IDLE, np.int32)
    most = 0
    for row, queue in enumerate(queues):
        t = c = 0
        while queue:
            item = queue[0]
            if t == T or (isinstance(item, Close) and c == C):
                break
            if isinstance(item, Close):
                closes[row, c] = tuple(item)
                c += 1
            else:
                reads[row, t] = (*item, c)
                t += 1
            queue.popleft()
        most = max(most, c)
    if longest <= 1 and most == 0:
        closes = closes[:, :0]
    return Call(
        ReadCall(*(np.ascontiguousarray(reads[..., i]) for i in range(5))),
        None if routed else CompletedUnits(*(np.ascontiguousarray(closes[..., i]) for i in range(3))),
    )


def _reads(queue: deque[Read | Close], most: int) -> int:
    """Positions that a queue holds, counted up to `most`."""
    return sum(1 for _ in islice((item for item in queue if isinstance(item, Read)), most))
