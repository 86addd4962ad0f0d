"""Which words of a parallel text are translations of each other: IBM model 1 with a preference for the diagonal.

Brown et al., "The mathematics of statistical machine translation" (1993, model 1), with the position prior and the
smoothing of Dyer, Chahuneau and Smith, "A simple, fast, and effective reparameterization of IBM model 2" (2013), which
is fast_align; its strength stays what it is set to. Expectation and maximisation go over all pairs of words of all
sentences at once.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.special
from jaxtyping import Float, Int

from lexitok.transfer.errors import TransferError


@dataclasses.dataclass(frozen=True)
class Links:
    """Words of the target, and words of the source in the same sentence that they may translate.

    Attributes:
      of_target, of_source: the two words, numbered through all sentences of a side.
      probability: that the one is there because of the other.
    """

    of_target: Int[np.ndarray, "n"]
    of_source: Int[np.ndarray, "n"]
    probability: Float[np.ndarray, "n"]


def align_words(
    source: Sequence[Int[np.ndarray, "_"]],
    target: Sequence[Int[np.ndarray, "_"]],
    *,
    iterations: int = 7,
    diagonal: float = 4.0,
    null: float = 0.08,
    prior: float = 0.01,
) -> Links:
    """Links of the words of each sentence of the target with those of its partner in the source.

    Args:
      source, target: sentences as kinds of words, numbered from 0.
      iterations: of expectation and maximisation.
      diagonal: how much words of like places in their sentences are preferred; 0: not at all.
      null: prior probability that a word translates nothing.
      prior: of the Dirichlet over translations of a word, whose mean field takes the place of the maximum; 0: the
        maximum itself.

    Raises:
      TransferError: the sides have different numbers of sentences, or settings that mean nothing.
    """
    if len(source) != len(target):
        raise TransferError(f"the parallel text has {len(source)} and {len(target)} sentences: they are not parallel")
    if iterations < 1 or diagonal < 0 or not 0 <= null < 1 or prior < 0:
        said = f"iterations={iterations}, diagonal={diagonal}, null={null}, prior={prior}"
        raise TransferError(f"words cannot be aligned with {said}")
    links = _places(source, target, diagonal, null)
    words = [np.concatenate([np.zeros(0, np.int64), *side]) for side in (source, target)]
    kinds = int(words[0].max(initial=-1)) + 2, int(words[1].max(initial=-1)) + 1
    of_source = np.append(words[0], kinds[0] - 1)[links.of_source]  # -1 is the last: the word that nothing translates
    keys = of_source * kinds[1] + words[1][links.of_target]
    pairs, pair = np.unique(keys, return_inverse=True)
    head = pairs // max(kinds[1], 1)
    table = np.ones(len(pairs))
    probability = np.zeros(len(pair))
    for _ in range(iterations):
        score = links.probability * table[pair]
        probability = score / np.bincount(links.of_target, score, minlength=len(words[1]))[links.of_target]
        count = np.bincount(pair, probability, minlength=len(pairs))
        total = np.bincount(head, count, minlength=kinds[0])[head]
        table = _maximum(count, total, prior, kinds[1])
    kept = links.of_source >= 0
    return Links(links.of_target[kept], links.of_source[kept], probability[kept])


def _maximum(count: np.ndarray, total: np.ndarray, prior: float, kinds: int) -> np.ndarray:
    if prior == 0.0:
        return np.divide(count, total, out=np.zeros_like(count), where=total > 0)
    return np.exp(scipy.special.digamma(count + prior) - scipy.special.digamma(total + prior * kinds))


def _places(source: Sequence[np.ndarray], target: Sequence[np.ndarray], diagonal: float, null: float) -> Links:
    """All links with their prior probability, those with nothing (-1) too where `null` is above 0."""
    of_target, of_source, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    begin_target = begin_source = 0
    for ours, theirs in zip(source, target, strict=True):
        m, n = len(ours), len(theirs)
        if m and n:
            apart = np.abs(np.arange(1, m + 1) / m - np.arange(1, n + 1)[:, None] / n)
            near = np.exp(-diagonal * apart)
            near *= (1 - null) / near.sum(axis=1, keepdims=True)
            with_null = np.concatenate([np.full((n, 1), null), near], axis=1)
            places = np.concatenate([[-1], begin_source + np.arange(m)])
            first = 0 if null else 1
            of_target.append(np.repeat(begin_target + np.arange(n), m + 1 - first))
            of_source.append(np.tile(places[first:], n))
            weights.append(with_null[:, first:].ravel())
        begin_target, begin_source = begin_target + n, begin_source + m
    return Links(*(np.concatenate(some) for some in (of_target, of_source, weights)))
