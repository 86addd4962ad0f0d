"""Rule `none`: every symbol is a unit (`TokenLM`)."""

import dataclasses
from typing import ClassVar

import numpy as np

from lexitok.text.boundaries.rule import BoundaryRule, Indices
from lexitok.text.boundaries.work import Close, Cursor, Read


class FlatCursor:
    """Every symbol is a unit (boundary rule `none`), or the model finds the units (`model`).

    Attributes:
      length: symbols so far.
    """

    def __init__(self):
        self.length = 0

    @property
    def open_bytes(self) -> int:
        return 0

    def push(self, symbol: int) -> list[Read | Close]:
        """The work that the next symbol brings."""
        self.length += 1
        return [Read(symbol, self.length - 1)]


@dataclasses.dataclass(frozen=True)
class NoBoundaries(BoundaryRule):
    """Every symbol is a unit, and sees itself."""

    name: ClassVar[str] = "none"
    has_units: ClassVar[bool] = False
    counted: ClassVar[bool] = False

    @staticmethod
    def indices(before: np.ndarray, through: np.ndarray, known: np.ndarray, begins: np.ndarray) -> Indices:
        at = np.arange(len(before)) - np.maximum.accumulate(np.where(begins, np.arange(len(before)), 0))
        return at, at

    def cursor(self) -> Cursor:
        return FlatCursor()
