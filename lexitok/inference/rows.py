"""What to do with each symbol of a row: read it, and before that close the units that are now known to be complete.

A row's work is a queue of `Read` and `Close` in the order in which they have to take effect. It is the same for a
prompt and for what the model writes, so both go through one mechanism. The rules are those of `lexitok.data.layout`: a
position is guided by the newest unit that is closed when it is read.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lexitok.text.segmentation import Splitter, SplitterStream

IDLE = -1  # position or index of work that is not there


class Read(NamedTuple):
    """A symbol at its position; `unit` that it is part of, and whether it opens it, where that is known by then."""

    symbol: int
    position: int
    unit: int
    opens: int


class Close(NamedTuple):
    """Unit `index` of the row is complete: positions `start` to `end`, exclusive."""

    index: int
    start: int
    end: int


class FlatRow:
    """Every symbol is a unit (boundary rule `none`).

    Attributes:
      length: symbols so far.
    """

    def __init__(self):
        self.length = 0

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        self.length += 1
        return [Read(symbol, self.length - 1, self.length - 1, 1)]


class LaggedRow:
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
        return [*work, Read(symbol, position, 0, 0)]


class EndSymbolRow:
    """Boundary rule `end_symbol`: a unit is opened by `bos` or by the symbol that closes the unit before.

    Attributes:
      length: symbols so far.
    """

    def __init__(self, end_of_unit: int):
        self.length = 0
        self._end_of_unit = end_of_unit
        self._unit = 0
        self._start = 0

    @property
    def open_bytes(self) -> int:
        """Bytes of the unit that is open."""
        return self.length - self._start - 1

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        position = self.length
        self.length += 1
        if symbol != self._end_of_unit:
            return [Read(symbol, position, self._unit, int(position == 0))]
        closed = Close(self._unit, self._start, position)
        self._unit += 1
        self._start = position
        return [closed, Read(symbol, position, self._unit, 1)]


Row = FlatRow | LaggedRow | EndSymbolRow


class Call(NamedTuple):
    """Work for all rows at once, as one call of a model takes it.

    Attributes:
      reads_BxTx5: the fields of `Read`, and how many units the call closes in the row before that; position `IDLE`
        where there is none.
      closes_BxCx3: the fields of `Close`; index `IDLE` where there is none.
    """

    reads_BxTx5: np.ndarray
    closes_BxCx3: np.ndarray


def next_call(queues: Sequence[deque[Read | Close]], chunk: int) -> Call:
    """Takes as much work off the queues as fits in a call of `chunk` reads a row and a quarter as many closes.

    If no row has more than one symbol left, the call is for one symbol and at most one unit a row: shapes come from a
    set of three, whatever the text. Work that does not fit waits for the next call.
    """
    last = not any(_holds_two_reads(queue) for queue in queues)
    T, C = (1, 1) if last else (chunk, max(1, chunk // 4))
    reads = np.full((len(queues), T, 5), IDLE, np.int32)
    closes = np.full((len(queues), C, 3), IDLE, np.int32)
    most = 0
    for row, queue in enumerate(queues):
        t = c = 0
        while queue:
            item = queue[0]
            if isinstance(item, Close):
                if c == C:
                    break
                closes[row, c] = tuple(item)
                c += 1
            else:
                if t == T:
                    break
                reads[row, t] = (*item, c)
                t += 1
            queue.popleft()
        most = max(most, c)
    return Call(reads, closes[:, :0] if last and most == 0 else closes)


def _holds_two_reads(queue: deque[Read | Close]) -> bool:
    reads = (item for item in queue if isinstance(item, Read))
    return next(reads, None) is not None and next(reads, None) is not None
