"""A new token's row from those of its parts, the source's tokens that spell it.

`Mean` is FVT (arXiv 2402.09977) and ReTok (arXiv 2410.04335). `Last` where tokens enter, with `FrontLoaded` where they
leave, is what transplant-vocab does: what follows a token follows its last part, and it is begun by its first.
"""

import dataclasses

import numpy as np

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.method import Made, Problem, combined, from_triples


def of_parts(problem: Problem, weight: np.ndarray) -> Made:
    """Rows with these weights of the parts, each token's brought to a sum of 1."""
    token, _ = problem.parts.places
    total = np.bincount(token, weight, minlength=len(problem.match.new))
    return combined(problem, from_triples(problem, token, problem.parts.ids, weight / total[token]))


@dataclasses.dataclass(frozen=True)
class Mean:
    """All parts alike."""

    def __call__(self, problem: Problem) -> Made:
        return of_parts(problem, np.ones(len(problem.parts.ids)))


@dataclasses.dataclass(frozen=True)
class First:
    """The first part."""

    def __call__(self, problem: Problem) -> Made:
        return of_parts(problem, (problem.parts.places[1] == 0).astype(np.float64))


@dataclasses.dataclass(frozen=True)
class Last:
    """The last part."""

    def __call__(self, problem: Problem) -> Made:
        token, place = problem.parts.places
        return of_parts(problem, (place == problem.parts.counts[token] - 1).astype(np.float64))


@dataclasses.dataclass(frozen=True)
class FrontLoaded:
    """Part `i`, from 0, weighs `decay ** i`: 0 is `First`, 1 is `Mean`."""

    decay: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.decay <= 1.0:
            raise TransferError(f"front_loaded: decay is {self.decay}; it is from 0 (the first part) to 1 (all alike)")

    def __call__(self, problem: Problem) -> Made:
        return of_parts(problem, np.power(self.decay, problem.parts.places[1], dtype=np.float64))


@dataclasses.dataclass(frozen=True)
class ByLength:
    """Parts weigh as many bytes as they have (as in the local half of TokenAdapt, arXiv 2505.09738)."""

    def __call__(self, problem: Problem) -> Made:
        return of_parts(problem, problem.source.vocabulary.lengths[problem.parts.ids].astype(np.float64))
