"""Paired comparison of evaluations on the same documents: a difference, and how far it can be trusted.

Two sources of chance are kept apart. A bootstrap over documents says how much a difference depends on the text that was
evaluated (models fixed); the spread over seeds says how much a number depends on the run. Neither holds the other.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from lexitok.runs.documents import DocumentScores
from lexitok.text.bits import LN2

RESAMPLES = 5000
_BLOCK = 2**21  # indices that are drawn at once


class PairingError(ValueError):
    """Evaluations that are not of the same documents; the message says where they differ."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference in bits per byte with a percentile interval over resamples of the documents.

    Attributes:
      value: first minus second; below zero, the first is better.
      low, high: ends of the interval.
    """

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Spread:
    """A number over several runs: its mean, smallest and largest value, and of how many."""

    mean: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """The spread over runs that differ only in their seed.

    Raises:
      ValueError: there are no values.
    """
    if not values:
        raise ValueError("there are no values to spread: an arm has at least one run")
    return Spread(math.fsum(values) / len(values), min(values), max(values), len(values))


def mean_scores(runs: Sequence[DocumentScores]) -> DocumentScores:
    """The scores of an arm: for each document, the mean over the arm's runs.

    Raises:
      PairingError: the runs were evaluated on different documents.
    """
    for other in runs[1:]:
        check_same(runs[0], other)
    fields = [field.name for field in dataclasses.fields(DocumentScores)]
    return DocumentScores(*(np.mean([getattr(run, name) for run in runs], axis=0) for name in fields))


def check_same(a: DocumentScores, b: DocumentScores) -> None:
    """Raises a `PairingError` unless both are of the same number of documents, of the same lengths in this order."""
    if len(a) != len(b):
        raise PairingError(f"{len(a)} and {len(b)} documents cannot be paired: evaluate both on the same text")
    differ = np.flatnonzero(a.bytes != b.bytes)
    if len(differ):
        i = int(differ[0])
        raise PairingError(
            f"document {i} has {a.bytes[i]:.0f} bytes in one evaluation and {b.bytes[i]:.0f} in the other: evaluate "
            "both on the same text"
        )


def difference(
    a: DocumentScores, b: DocumentScores, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Bits per byte of `a` less those of `b`: a ratio of sums over all documents, and its percentile interval.

    A resample draws as many documents as there are, with replacement, the same for both: what is common to a document
    for both models cancels.

    Args:
      a, b: scores of the same documents.
      level: of the interval.
      resamples: how many.
      seed: of the resamples.

    Raises:
      PairingError: they are not of the same documents, or there is no byte.
      ValueError: `level` is not between 0 and 1.
    """
    check_same(a, b)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it is a probability between 0 and 1")
    if not a.bytes.sum():
        raise PairingError("the documents hold no bytes: there are no bits per byte to compare")
    bits = (a.nats - b.nats) / LN2
    held = np.flatnonzero(a.bytes)  # an empty document changes no ratio
    values = _resampled(bits[held], a.bytes[held], resamples, np.random.default_rng(seed))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(bits.sum() / a.bytes.sum()), float(low), float(high))


def _resampled(bits: np.ndarray, nbytes: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """float64 `[resamples]`: the ratio of sums of each."""
    n, out = len(bits), []
    block = max(1, _BLOCK // n)
    for start in range(0, resamples, block):
        drawn = rng.integers(0, n, (min(block, resamples - start), n))
        out.append(bits[drawn].sum(1) / nbytes[drawn].sum(1))
    return np.concatenate(out)
