"""How many raw bytes of a text each token stands for, where the tokens' own bytes are not those of the text."""

import numpy as np


def byte_starts(text: str) -> np.ndarray:
    """int64 `[len(text) + 1]`: the byte of the UTF-8 form at which each character begins, and its length behind them.

    Surrogates count one byte: as what `surrogateescape` made of a byte that is not UTF-8.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    lengths[(codes >= 0xD800) & (codes < 0xE000)] = 1
    return np.concatenate(([0], np.cumsum(lengths)))


def shares(begins: np.ndarray, lengths: np.ndarray, total: int) -> np.ndarray:
    """int32 `[n]`: raw bytes of each token, from where the tokens begin in the text.

    A token reaches to where the next one begins, and the first one begins the text: so what a tokenizer drops belongs
    to the token before it. Of tokens that begin together (the bytes of one character) each has its own length if that
    adds up, and the last has all if not.

    Args:
      begins: of each token, in raw bytes; those that step back are taken forward.
      lengths: of each token's own bytes.
      total: bytes of the text.
    """
    if not len(begins):
        return np.zeros(0, np.int32)
    begins = np.maximum.accumulate(begins.astype(np.int64))
    begins[begins == begins[0]] = 0
    nbytes = np.diff(begins, append=total)
    group = np.flatnonzero(np.diff(begins, prepend=-1))
    spans = np.diff(begins[group], append=total)
    fits = np.add.reduceat(lengths.astype(np.int64), group) == spans
    return np.where(np.repeat(fits, np.diff(group, append=len(begins))), lengths, nbytes).astype(np.int32)


def prefixed(lengths: np.ndarray) -> np.ndarray:
    """`lengths` of tokens that stand for a space and the text: the space is taken off the first token with bytes."""
    lengths = lengths.copy()
    lengths[int((lengths > 0).argmax())] -= 1
    return lengths
