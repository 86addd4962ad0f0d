"""What a boundary rule is."""

import dataclasses
from typing import ClassVar

import numpy as np

from lexitok.text.alphabet import ByteAlphabet
from lexitok.text.boundaries.stream import SymbolStream
from lexitok.text.boundaries.work import Cursor
from lexitok.text.segmentation import Segmentation, Splitter
from lexitok.text.vocabulary import Vocabulary

EMPTY_UNIT, OPEN_UNIT, FULL_UNIT = range(3)  # rows of `BoundaryRule.allowed_next`
Indices = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class BoundaryRule:
    """How units become symbols, which of them a position is pooled into, and which it may see.

    A subclass is a rule; its class attributes are what other parts have to know of it, its methods the rule itself,
    over whole arrays and symbol by symbol.

    Attributes:
      name: of the rule, as in a config.
      has_units: symbols are pooled into units, be it that the text says so or the model.
      counted: the text says so, and a row has a budget of them.
      bos_is_unit: `bos` is a unit of its own.
      opens_units: a unit has a position that opens it, from which its later positions can be seen.
      marks: what says in the symbols where units end: `nothing`, a `symbol` of its own, or the `byte` itself.
      by_model: it is the model that finds the units.
      alphabet: of the symbols; None where they are a tokenizer's.
      splitter: of bytes; None where there is none.
      slots: positions that open a unit.
    """

    name: ClassVar[str]
    has_units: ClassVar[bool] = True
    counted: ClassVar[bool] = True
    bos_is_unit: ClassVar[bool] = True
    opens_units: ClassVar[bool] = False
    marks: ClassVar[str] = "nothing"
    by_model: ClassVar[bool] = False

    alphabet: ByteAlphabet | None = None
    splitter: Splitter | None = None
    slots: int = 1

    @property
    def longest(self) -> int:
        """Bytes of the longest unit."""
        assert self.splitter is not None
        return self.splitter.max_unit_bytes

    @property
    def end_of_unit(self) -> int | None:
        """The symbol that closes a unit; None where there is none."""
        return None

    def stream(self, symbols: np.ndarray, units: Segmentation | None) -> SymbolStream:
        """The stream of a document, `eot` at its end.

        Args:
          symbols: int32 `[n]`, its bytes in the alphabet.
          units: of its bytes; None where the rule has none.
        """
        raise NotImplementedError

    @staticmethod
    def indices(before: np.ndarray, through: np.ndarray, known: np.ndarray, begins: np.ndarray) -> Indices:
        """The unit that each position of consecutive pieces is pooled into, and the newest that it may see (-1: none).

        All are counted from the start of the position's piece.

        Args:
          before, through: units that end before the symbol that the position reads, and with it.
          known: units that are known to be complete once it is read.
          begins: the position is the first of its piece.
        """
        raise NotImplementedError

    def cursor(self) -> Cursor:
        """The same symbol by symbol, for a row that is being read and written."""
        raise NotImplementedError

    def positions(self, symbols: list[int], bos: int) -> int:
        """Positions at which symbols are read: one each, and where a symbol opens a unit, as many as that has slots."""
        del bos
        return len(symbols)

    def allowed_next(self, vocabulary: Vocabulary, V: int) -> np.ndarray:
        """Bool `[3, V]`: the symbols that may be drawn, by what the open unit holds (`room`).

        Symbols with bytes, and `eot`. Where symbols say where units end, a unit has a byte at least and as many as the
        splitter allows at most, and the document ends between units: row `EMPTY_UNIT` has no end-of-unit symbol, row
        `OPEN_UNIT` no `eot`, row `FULL_UNIT` only what ends the unit. Elsewhere, row `EMPTY_UNIT` counts.
        """
        allowed = np.zeros((3, V), bool)
        allowed[:, : vocabulary.size] = vocabulary.lengths > 0
        allowed[EMPTY_UNIT, vocabulary.eot] = True
        return allowed

    def room(self, cursor: Cursor) -> int:
        """The row of `allowed_next` that holds for what a row goes on with."""
        del cursor
        return EMPTY_UNIT

    def with_ends(self, symbols: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """A prompt's bytes as the rule has them, where units end behind the first `ends[i]` of them."""
        del ends
        return symbols
