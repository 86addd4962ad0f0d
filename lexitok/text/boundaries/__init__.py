"""Boundary rules: what stands in a stream for the ends of units, and who sees which. A new rule is a file and a line.

- `none`: every symbol is a unit (`TokenLM`).
- `lagged` (HAT v2): `bos` is a unit of its own; a position sees the unit before its own, as far as the splitter knew
  it to be complete by then.
- `end_symbol` (HAT v1): a unit is opened by `bos` or by the symbol that closed the unit before, which serves as its
  slot; a position sees the unit before its own. A unit may have further slots, which are read and not predicted.
- `revealed` (SpaceByte, BLT, AU-Net, H-Net): a unit ends with the byte that reveals that it does, and that byte sees
  it. `bos` is a unit of its own.
- `fused` (Bolmo): as `revealed`; each symbol says of its byte whether a unit ends behind it.
- `model`: as `revealed`, but it is the model that says where units end.
"""

from lexitok.text.boundaries.end_symbol import EndSymbol
from lexitok.text.boundaries.fused import Fused
from lexitok.text.boundaries.lagged import Lagged
from lexitok.text.boundaries.model import FoundByModel
from lexitok.text.boundaries.none import NoBoundaries
from lexitok.text.boundaries.revealed import Revealed, longest_ends, revealed_ends
from lexitok.text.boundaries.rule import EMPTY_UNIT, FULL_UNIT, OPEN_UNIT, BoundaryRule
from lexitok.text.boundaries.stream import SymbolStream, symbol_stream
from lexitok.text.boundaries.work import Close, Cursor, Read

RULES: dict[str, type[BoundaryRule]] = {
    rule.name: rule for rule in (NoBoundaries, Lagged, EndSymbol, Revealed, Fused, FoundByModel)
}

__all__ = [
    "EMPTY_UNIT",
    "FULL_UNIT",
    "OPEN_UNIT",
    "RULES",
    "BoundaryRule",
    "Close",
    "Cursor",
    "FoundByModel",
    "Fused",
    "NoBoundaries",
    "Read",
    "Revealed",
    "SymbolStream",
    "longest_ends",
    "revealed_ends",
    "symbol_stream",
]
