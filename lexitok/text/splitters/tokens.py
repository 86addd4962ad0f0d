"""`tokens`: the units are the tokens of a tokenizer."""

import numpy as np

from lexitok.text.segmentation import Segmentation, SplitterStream
from lexitok.text.splitters.limit import limit_units
from lexitok.text.vocabulary import Encoding, Tokenizer, Vocabulary


class TokenSplitter:
    """Units are a tokenizer's tokens, as for Bolmo (arXiv 2512.15586), whose boundaries are distilled from one.

    A tokenizer looks ahead: how text goes on may change every token before. So no unit is known to be complete while
    the text may go on, and `closed` is 0 at every byte; the boundary rule has to be one that does not ask for it,
    because the model says itself where units end (`fused`, `end_symbol`).

    Args:
      tokenizer: its encodings must stand for the bytes of the text, one for one.
      max_unit_bytes: longer tokens are cut greedily, at the byte.
    """

    name = "tokens"
    causal = False

    def __init__(self, tokenizer: Tokenizer, max_unit_bytes: int) -> None:
        if max_unit_bytes < 1:
            raise ValueError(f"max_unit_bytes is {max_unit_bytes}; it must be at least 1")
        self.max_unit_bytes = max_unit_bytes
        self._tokenizer = tokenizer

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's."""
        return self._tokenizer.vocabulary

    def split(self, data: bytes) -> Segmentation:
        """The units of `data` (may be empty). Tokens of no bytes are skipped.

        Raises:
          ValueError: the tokenizer changes the text, or its tokens do not cover it.
        """
        starts, closed = np.zeros(len(data), bool), np.zeros(len(data), np.int32)
        if data:
            ends = _ends(self._tokenizer.encode(data), data)
            starts[limit_units(np.append(0, ends[:-1]), len(data), self.max_unit_bytes, None)] = True
        return Segmentation(starts, closed)

    def stream(self) -> SplitterStream:
        """There is none.

        Raises:
          ValueError: always.
        """
        raise ValueError(
            "the splitter 'tokens' cannot read a text that is still being written: a tokenizer looks ahead, so what "
            "follows may change every token before. Use it with a boundary rule by which the model itself says where "
            "units end: 'fused' or 'end_symbol'."
        )


def _ends(encoding: Encoding, data: bytes) -> np.ndarray:
    """The byte after each token that has bytes."""
    nbytes = np.asarray(encoding.nbytes, np.int64)
    if encoding.lossy:
        raise ValueError(
            f"the tokenizer changes this text of {len(data)} bytes, which begins {data[:40]!r}: its tokens stand for "
            "other bytes and cannot be units of it. Use a tokenizer that does not normalise, or leave the text out."
        )
    if nbytes.sum() != len(data) or (nbytes < 0).any():
        raise ValueError(
            f"the tokens of this text of {len(data)} bytes, which begins {data[:40]!r}, stand for {nbytes.sum()} "
            "bytes: the tokenizer's byte counts are wrong"
        )
    return np.cumsum(nbytes[nbytes > 0])
