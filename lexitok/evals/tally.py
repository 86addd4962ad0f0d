"""From nats at symbols to measures of a document: by byte, by first byte of a word, by word. On the host, float64.

A symbol of zero bytes that is not `eot` (an end-of-unit symbol) stands before a byte: its nats are text, and belong to
the byte that follows it, or to the last byte where none follows.
"""

import dataclasses
import math

import numpy as np

from lexitok.runs.documents import DocumentScore
from lexitok.text.segmentation import Segmentation


@dataclasses.dataclass(frozen=True)
class Scored:
    """A document of `n` symbols over `m` raw bytes, and what a model makes of each symbol.

    Attributes:
      symbols: int32 `[n]`; the last is `eot`.
      nbytes: int32 `[n]`, raw bytes that each stands for.
      nll: float32 `[n]`, nats.
      is_top: bool `[n]`, no symbol has a larger logit.
    """

    symbols: np.ndarray
    nbytes: np.ndarray
    nll: np.ndarray
    is_top: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """int64 `[n]`: the raw byte at which each symbol starts; those of zero bytes stand at the byte after them."""
        lengths = self.nbytes.astype(np.int64)
        return np.cumsum(lengths) - lengths


def tally(scored: Scored, data: bytes, words: Segmentation, *, decoded: bytes, eot: int) -> DocumentScore:
    """The score of a document.

    Args:
      scored: its symbols, in order.
      data: the raw document.
      words: of the raw document.
      decoded: the bytes that the symbols stand for.
      eot: the symbol that ends documents.

    Raises:
      ValueError: the words are not of the bytes that the symbols stand for.
    """
    covered = int(scored.nbytes.sum())
    if len(words) != covered:
        raise ValueError(f"words were found in {len(words)} bytes, but the document's symbols stand for {covered}")
    is_eot = scored.symbols == eot
    right = words_right(scored, eot, words)
    nats = scored.nll.astype(np.float64)
    return DocumentScore(
        nbytes=len(data),
        scored=covered,
        nats=math.fsum(nats[~is_eot]),
        eot_nats=math.fsum(nats[is_eot]),
        first_nats=_first_nats(scored, eot, words),
        words=len(right),
        words_right=int(right.sum()),
        lossy=decoded != data,
    )


def nats_by_byte(scored: Scored, eot: int) -> np.ndarray:
    """float64 `[m]`: nats of each raw byte; those of a symbol of several bytes are spread over them evenly."""
    lengths, nats = scored.nbytes, scored.nll.astype(np.float64)
    out = np.repeat(nats / np.maximum(lengths, 1), lengths)
    between = (lengths == 0) & (scored.symbols != eot)
    if len(out):
        np.add.at(out, np.minimum(scored.starts[between], len(out) - 1), nats[between])
    return out


def words_right(scored: Scored, eot: int, words: Segmentation) -> np.ndarray:
    """Bool `[words]`: every symbol that overlaps the word, or stands inside it, has the largest logit."""
    if not len(words):
        return np.zeros(0, bool)
    word_of = np.cumsum(words.starts) - 1
    lengths, start = scored.nbytes, scored.starts
    # A symbol of no bytes at offset o touches the bytes on both of its sides, but only if they are of one word.
    first = np.where(lengths > 0, start, start - 1)
    last = np.where(lengths > 0, start + lengths - 1, start)
    inside = (first >= 0) & (last < len(word_of))
    a, b = (word_of[np.clip(at, 0, len(word_of) - 1)] for at in (first, last))
    wrong = ~scored.is_top & (scored.symbols != eot) & inside & ((lengths > 0) | (a == b))
    depth = np.zeros(int(word_of[-1]) + 2, np.int64)
    np.add.at(depth, a[wrong], 1)
    np.add.at(depth, b[wrong] + 1, -1)
    return np.cumsum(depth)[:-1] == 0


def _first_nats(scored: Scored, eot: int, words: Segmentation) -> float:
    if np.any(scored.nbytes > 1):
        return math.nan
    return math.fsum(nats_by_byte(scored, eot)[words.starts])
