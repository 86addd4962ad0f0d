"""Bytes and where their units are, to the stream of symbols that a boundary rule makes of them.

A new rule is a function here, a line in `STREAMS`, and its index arrays in `lexitok.data.layout.RULES`.
"""

import numpy as np

from lexitok.data.layout import SymbolStream
from lexitok.text.alphabet import ByteAlphabet
from lexitok.text.segmentation import Segmentation


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


def lagged(symbols: np.ndarray, units: Segmentation, alphabet: ByteAlphabet, slots: int, longest: int) -> SymbolStream:
    """The bytes; `eot` is a unit of its own."""
    del slots, longest
    ends = np.zeros(len(symbols) + 1, bool)
    ends[units.ends() - 1] = True
    ends[-1] = True
    closed = np.append(units.closed, len(units.ends()) + 1)
    return _document(np.append(symbols, alphabet.eot), ends, closed, "lagged", alphabet)


def revealed(
    symbols: np.ndarray, units: Segmentation, alphabet: ByteAlphabet, slots: int, longest: int
) -> SymbolStream:
    """The bytes; `eot` is a unit of its own."""
    del slots
    ends = np.append(revealed_ends(units.closed, longest), True)
    return _document(np.append(symbols, alphabet.eot), ends, np.cumsum(ends), "revealed", alphabet)


def fused(symbols: np.ndarray, units: Segmentation, alphabet: ByteAlphabet, slots: int, longest: int) -> SymbolStream:
    """The bytes, each with what it says of the end of its unit."""
    del slots, longest
    ends = np.zeros(len(symbols) + 1, bool)
    ends[units.ends() - 1] = True
    ends[-1] = True
    stream = np.append(symbols + alphabet.fused * ends[:-1], alphabet.eot)
    return _document(stream, ends, np.cumsum(ends), "fused", alphabet)


def end_symbol(
    symbols: np.ndarray, units: Segmentation, alphabet: ByteAlphabet, slots: int, longest: int
) -> SymbolStream:
    """The bytes of each unit and a symbol that closes it. That symbol is the first slot of the next unit; the further
    slots of a unit stand behind it, as the same symbol, and are not predicted."""
    del longest
    more = slots - 1  # slots of a unit that are not the symbol that closed the one before
    unit = np.cumsum(units.starts, dtype=np.int64) - 1  # of each byte
    count = int(unit[-1]) + 1 if len(unit) else 0
    stream = np.full(len(symbols) + count * (1 + more) + more + 1, alphabet.end_of_unit, np.int32)
    at = np.arange(len(symbols)) + unit * (1 + more) + more
    stream[at] = symbols
    stream[-1] = alphabet.eot
    closes = np.zeros(len(stream), bool)
    closes[at[units.ends() - 1] + 1] = True  # what stands behind the last byte of each unit
    closes[-1] = True
    nbytes = np.zeros(len(stream), np.int32)
    nbytes[at] = 1
    predicted = closes | (nbytes > 0)
    return _document(stream, closes, np.cumsum(closes), "end_symbol", alphabet, nbytes, predicted)


def model(symbols: np.ndarray, units: None, alphabet: ByteAlphabet, slots: int, longest: int) -> SymbolStream:
    """The bytes; the model finds the units."""
    del units, slots, longest
    ends = np.ones(len(symbols) + 1, bool)
    return _document(np.append(symbols, alphabet.eot), ends, np.cumsum(ends), "model", alphabet)


STREAMS = {"lagged": lagged, "end_symbol": end_symbol, "revealed": revealed, "fused": fused}


def _document(
    stream: np.ndarray,
    unit_ends: np.ndarray,
    closed: np.ndarray,
    boundary: str,
    alphabet: ByteAlphabet,
    nbytes: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
) -> SymbolStream:
    if nbytes is None:
        nbytes = np.ones(len(stream), np.int32)
        nbytes[-1] = 0  # `eot`
    return SymbolStream(
        symbols=stream.astype(np.int32),
        nbytes=nbytes,
        unit_ends=unit_ends,
        closed=closed.astype(np.int32),
        predicted=np.ones(len(stream), bool) if predicted is None else predicted,
        boundary=boundary,
        bos=alphabet.bos,
    )
