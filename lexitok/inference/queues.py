"""The work of all rows, as calls of a model: what boundary rules want done with each symbol, some of it at a time."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from lexitok.models.calls import IDLE, CompletedUnits, ReadCall
from lexitok.text.boundaries import Close, Read


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
