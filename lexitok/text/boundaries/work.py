"""What to do with each symbol of a row: read it, and before that close the units that are now known to be complete.

A row's work is a queue of `Read` and `Close` in the order in which they have to take effect. It is the same for a
prompt and for what the model writes, so both go through one mechanism. A position is guided by the newest unit that is
closed when it is read. Where a unit ends with the position that is read, its `Close` stands before the `Read`, and both
are done in one call.
"""

from typing import NamedTuple, Protocol, runtime_checkable


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


@runtime_checkable
class Cursor(Protocol):
    """Where a row is, under a rule.

    Attributes:
      length: positions so far.
      open_bytes: bytes of the unit that is open; 0 where the rule does not ask.
    """

    length: int

    @property
    def open_bytes(self) -> int: ...

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        ...
