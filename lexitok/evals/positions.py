"""What targets cost by their position in the context, and how much of that is of symbols that are new to the row.

A lexinvariant model can do no better than to guess uniformly among the symbols that its context does not hold
(arXiv 2305.16349): what those cost is looked at on its own.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.evals.scoring import scorer
from lexitok.evals.text_rows import ProbeError, over_rows, stretches
from lexitok.text.bits import LN2


@dataclasses.dataclass(frozen=True)
class Sums:
    """Sums over targets, by position or by bins of positions: float64 `[n]` each.

    Attributes:
      nats: what the targets cost.
      targets: how many there are.
      bytes: raw bytes that they stand for.
    """

    nats: np.ndarray
    targets: np.ndarray
    bytes: np.ndarray

    @property
    def nats_per_symbol(self) -> np.ndarray:
        """NaN where there are no targets."""
        return np.divide(self.nats, self.targets, out=np.full(len(self.nats), np.nan), where=self.targets > 0)

    @property
    def bits_per_symbol(self) -> np.ndarray:
        """NaN where there are no targets."""
        return self.nats_per_symbol / LN2

    @property
    def bits_per_byte(self) -> np.ndarray:
        """NaN where there are no bytes."""
        nats_per_byte = np.divide(self.nats, self.bytes, out=np.full(len(self.nats), np.nan), where=self.bytes > 0)
        return nats_per_byte / LN2

    def binned(self, edges: np.ndarray) -> "Sums":
        """Sums over `[edges[i], edges[i + 1])`, of `len(edges) - 1` bins that are not empty."""
        return Sums(*(np.add.reduceat(x[: edges[-1]], edges[:-1]) for x in (self.nats, self.targets, self.bytes)))


@dataclasses.dataclass(frozen=True)
class ByPosition:
    """What targets cost by position, `[S]`.

    Attributes:
      whole: all targets.
      seen, unseen: of them, those whose symbol stands before them in their row, and those whose does not.
      rows: how many rows were read.
    """

    whole: Sums
    seen: Sums
    unseen: Sums
    rows: int

    def binned(self, edges: np.ndarray) -> "ByPosition":
        """The same in bins of positions, see `Sums.binned`."""
        return ByPosition(self.whole.binned(edges), self.seen.binned(edges), self.unseen.binned(edges), self.rows)


@dataclasses.dataclass(frozen=True)
class Gap:
    """How far a model's perplexity, per symbol, is above a reference's: float64 `[n]`, NaN where nothing is to compare.

    Attributes:
      difference: of the perplexities.
      ratio: of the perplexities; 1: none is better.
    """

    difference: np.ndarray
    ratio: np.ndarray


def by_position(
    model: Any,
    encoder: Encoder,
    documents: Sequence[bytes],
    *,
    symbols: int,
    rows: int,
    each: int = 1,
    seed: int = 0,
) -> ByPosition:
    """What the targets of documents' first symbols cost a model, by position.

    Args:
      model: has `read_out(batch, query)`.
      encoder, documents, symbols, each: as of `lexitok.evals.text_rows.stretches`.
      rows, seed: of a batch.

    Raises:
      ProbeError: as `stretches`.
    """
    text = stretches(encoder, documents, symbols, each=each)
    score = scorer()
    nats = over_rows(lambda batch: score(model, batch)[0], text.symbols, encoder.vocabulary, rows=rows, seed=seed)
    seen = seen_before(text.symbols)
    return ByPosition(
        whole=_sums(nats, text.nbytes, np.ones_like(seen)),
        seen=_sums(nats, text.nbytes, seen),
        unseen=_sums(nats, text.nbytes, ~seen),
        rows=len(text),
    )


def seen_before(symbols_NxS: np.ndarray) -> np.ndarray:
    """Bool `[N, S]`: the symbol stands further left in its row, too."""
    out = np.ones(symbols_NxS.shape, bool)
    for row, seen in zip(symbols_NxS, out, strict=True):
        seen[np.unique(row, return_index=True)[1]] = False
    return out


def log_bins(S: int, bins: int = 16) -> np.ndarray:
    """Edges of at most so many bins of `S` positions, each about as many times as long as the one before; int64."""
    edges = np.round(np.geomspace(1, S + 1, bins + 1)).astype(np.int64) - 1
    return np.unique(edges)


def perplexity_gap(model: Sums, reference: Sums) -> Gap:
    """The gap between two models that have read the same symbols (arXiv 2305.16349, section 4).

    Raises:
      ProbeError: they have not.
    """
    if not (np.array_equal(model.targets, reference.targets) and np.array_equal(model.bytes, reference.bytes)):
        raise ProbeError(
            "a gap in perplexity is between models that read the same symbols of the same text; compare models with "
            "one vocabulary, or look at bits per byte"
        )
    a, b = model.nats_per_symbol, reference.nats_per_symbol
    return Gap(np.exp(a) - np.exp(b), np.exp(a - b))


def _sums(nats_NxS: np.ndarray, nbytes_NxS: np.ndarray, which_NxS: np.ndarray) -> Sums:
    nats = np.where(which_NxS, nats_NxS.astype(np.float64), 0.0).sum(0)
    return Sums(nats, which_NxS.sum(0).astype(np.float64), (nbytes_NxS * which_NxS).sum(0).astype(np.float64))
