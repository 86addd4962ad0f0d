"""A document's stream of targets: what a boundary rule makes of its bytes and of where its units are."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SymbolStream:
    """A document's stream of targets, `n` symbols long.

    Attributes:
      symbols: int32 `[n]`.
      nbytes: int32 `[n]`, raw bytes that each symbol stands for; their sum is the length of the raw document.
      unit_ends: bool `[n]`, the symbol is the last of its unit.
      closed: int32 `[n]`, units of the document known to be complete once the symbol has been read.
      predicted: bool `[n]`; the others are only read: they follow from the symbols before them.
      boundary: name of the rule, see `lexitok.text.boundaries`.
      bos: the symbol that opens every piece.
    """

    symbols: np.ndarray
    nbytes: np.ndarray
    unit_ends: np.ndarray
    closed: np.ndarray
    predicted: np.ndarray
    boundary: str
    bos: int

    def __len__(self) -> int:
        return len(self.symbols)


def symbol_stream(
    symbols: np.ndarray,
    unit_ends: np.ndarray,
    closed: np.ndarray,
    boundary: str,
    bos: int,
    nbytes: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
) -> SymbolStream:
    """A stream whose every symbol but the last, `eot`, is a byte, and is predicted, unless said otherwise."""
    if nbytes is None:
        nbytes = np.ones(len(symbols), np.int32)
        nbytes[-1] = 0
    return SymbolStream(
        symbols=symbols.astype(np.int32),
        nbytes=nbytes,
        unit_ends=unit_ends,
        closed=closed.astype(np.int32),
        predicted=np.ones(len(symbols), bool) if predicted is None else predicted,
        boundary=boundary,
        bos=bos,
    )
