"""A new token's row from those of its parts, by how often the source's tokens come up in a text.

A part is counted once more than it comes up, so that those that never do have a weight, too.
"""

import dataclasses

import numpy as np
from jaxtyping import Int

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.composition import of_parts
from lexitok.transfer.methods.method import Made, Problem


@dataclasses.dataclass(frozen=True, eq=False)
class ByFrequency:
    """Parts weigh as often as they come up: frequent tokens have the rows that were trained most.

    Attributes:
      counts_U: of the source's tokens in a text.
    """

    counts_U: Int[np.ndarray, "U"]

    def __call__(self, problem: Problem) -> Made:
        return of_parts(problem, _counts_of_parts(problem, self.counts_U, "by_frequency"))


@dataclasses.dataclass(frozen=True, eq=False)
class ByRarity:
    """Parts of probability `p` weigh `a / (a + p)`, smooth inverse frequency: rare parts say most of what is meant.

    It is the weighting of Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings" (2017,
    eq. 3), for tokens in place of sentences; without taking off the common component.

    Attributes:
      counts_U: of the source's tokens in a text.
      a: the probability at which the weight is a half.
    """

    counts_U: Int[np.ndarray, "U"]
    a: float = 1e-3

    def __post_init__(self) -> None:
        if not self.a > 0.0:
            raise TransferError(f"by_rarity: a is {self.a}; it is above 0")

    def __call__(self, problem: Problem) -> Made:
        counts = _counts_of_parts(problem, self.counts_U, "by_rarity")
        probability = counts / (self.counts_U.sum() + len(problem.text_ids))
        return of_parts(problem, self.a / (self.a + probability))


def _counts_of_parts(problem: Problem, counts_U: np.ndarray, method: str) -> np.ndarray:
    """float64, of each part one more than it comes up.

    Raises:
      TransferError: there is not one count for each of the source's ids, one is negative, or all are 0.
    """
    U = problem.source.vocabulary.size
    if len(counts_U) != U:
        raise TransferError(f"{method}: {len(counts_U)} counts for the source's {U} ids")
    if (counts_U < 0).any():
        worst = int(np.argmin(counts_U))
        raise TransferError(f"{method}: id {worst} is counted {counts_U[worst]} times")
    if not counts_U.any():
        raise TransferError(f"{method}: no token of the source was counted: is the text empty?")
    return counts_U[problem.parts.ids].astype(np.float64) + 1.0
