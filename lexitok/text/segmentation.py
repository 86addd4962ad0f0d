"""What a splitter says about a byte string: where units start, and from which byte on that is known."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """The units of `n` bytes.

    Attributes:
      starts: bool `[n]`; a unit starts at this byte. `starts[0]` is true.
      closed: int32 `[n]`; how many units are known to be complete once this byte has been read. A splitter that needs
        to see the next character before it can close a unit lags behind: `closed[t] <= starts[: t + 1].sum() - 1`.
        One that can tell from a unit's last byte does not.
    """

    starts: np.ndarray
    closed: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def ends(self) -> np.ndarray:
        """int64 `[number of units]`: the byte after each unit; the last is `n`."""
        return np.append(np.flatnonzero(self.starts)[1:], len(self.starts)) if len(self.starts) else np.zeros(0, int)


@runtime_checkable
class SplitterStream(Protocol):
    """A splitter that reads one byte at a time.

    `copy.deepcopy` makes one that goes on by itself: all that changes is in attributes, none of it in closures.
    """

    def push(self, byte: int) -> tuple[int, ...]:
        """Reads a byte; returns the ends (offsets, exclusive) of the units that are now known to be complete."""
        ...


@runtime_checkable
class Splitter(Protocol):
    """Bytes to units, by rule. Any byte string has units, valid UTF-8 or not, and no byte is lost."""

    name: str
    max_unit_bytes: int  # no unit is longer

    def split(self, data: bytes) -> Segmentation:
        """The units of `data` (may be empty)."""
        ...

    def stream(self) -> SplitterStream:
        """The same rule as a stream: after `data[: t + 1]` it has named `split(data).closed[t]` unit ends."""
        ...
