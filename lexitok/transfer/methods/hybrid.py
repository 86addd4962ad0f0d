"""A new token's row from those of its parts and of tokens that are like it: TokenAdapt (arXiv 2505.09738).

Of its parts by how like it they are and how much of it they are, and of the nearest of the source's tokens. Like is
what has vectors of a high cosine; the paper takes those of a large encoder of texts, here they are whatever is given.
"""

import dataclasses

import numpy as np
import scipy.sparse
from jaxtyping import Float

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.method import Made, Problem, combined, from_triples, scaled
from lexitok.transfer.methods.similarity import (
    nearest,
    neighbour_weights,
    softmax_within,
    source_candidates,
    unit,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Hybrid:
    """`1 - w_glob` of the combination of its parts, and `w_glob` of that of its neighbours; where it has none, no such.

    A part weighs the softmax, at the temperature, of the mean of two shares of the token: the softmax of its cosine
    among those of the parts, and its bytes among all. A neighbour weighs the softmax of its cosine at the temperature.

    Attributes:
      vectors_VxA, source_vectors_UxA: of the target's and the source's tokens, in one space.
      w_glob: weight of the neighbours.
      most: neighbours.
      temperature: of the last softmax over parts, and of that over neighbours.
      least: cosine of a neighbour, at least.
    """

    vectors_VxA: Float[np.ndarray, "V A"]
    source_vectors_UxA: Float[np.ndarray, "U _"]
    w_glob: float = 0.3
    most: int = 3
    temperature: float = 0.3
    least: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.w_glob <= 1.0:
            raise TransferError(f"hybrid: w_glob is {self.w_glob}; it is from 0 (parts) to 1 (neighbours)")
        if self.most < 1 or self.temperature <= 0:
            raise TransferError(
                f"hybrid: most is {self.most}, temperature is {self.temperature}; 1 or more, and above 0"
            )

    def __call__(self, problem: Problem) -> Made:
        candidates = source_candidates(problem, self.vectors_VxA, self.source_vectors_UxA, "hybrid")
        near = neighbour_weights(problem, self.vectors_VxA, candidates, self._weigh)
        has = np.diff(near.indptr) > 0
        weights = scaled(self._local(problem), np.where(has, 1.0 - self.w_glob, 1.0)) + scaled(near, self.w_glob * has)
        weights = weights.tocsr()
        weights.eliminate_zeros()
        return combined(problem, weights)

    def _local(self, problem: Problem) -> scipy.sparse.csr_array:
        token, _ = problem.parts.places
        ids = problem.parts.ids
        whole = unit(self.vectors_VxA[problem.match.new])[token]
        cosines = (whole * unit(self.source_vectors_UxA)[ids]).sum(axis=1)
        lengths = problem.source.vocabulary.lengths[ids].astype(np.float64)
        share = lengths / np.bincount(token, lengths, minlength=len(problem.match.new))[token]
        scores = (softmax_within(token, cosines) + share) / 2
        return from_triples(problem, token, ids, softmax_within(token, scores / self.temperature))

    def _weigh(self, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, near = nearest(cosines, self.most)
        kept = cosines[row, near] >= self.least
        row, near = row[kept], near[kept]
        return row, near, softmax_within(row, cosines[row, near].astype(np.float64) / self.temperature)
