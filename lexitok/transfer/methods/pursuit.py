"""A new token's row by orthogonal matching pursuit: few shared tokens that make its vector in another model's table.

What another model that has all tokens says of a new one, as a combination of tokens that both have, is said again with
this model's rows of the same tokens (arXiv 2506.06607).
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from lexitok.ops.matching_pursuit import matching_pursuit
from lexitok.transfer.methods.method import Made, Problem, combined, from_triples, shared_tokens


@dataclasses.dataclass(frozen=True, eq=False)
class Pursuit:
    """Combinations of `k` shared tokens at most; the residual is that of the auxiliary vector.

    Attributes:
      vectors_VxA: of the target's tokens: a donor's table.
      k: tokens of a combination.
      select, implementation: how they are chosen, and among which, see `lexitok.ops.matching_pursuit`. `gain` leaves
        the smallest residual, but of rows that are nearly the same, as those of byte tokens which no text uses, it
        takes one less the other, many times over: that cancels in the donor's table, and does not in this model's.
    """

    vectors_VxA: Float[np.ndarray, "V A"]
    k: int = 64
    select: str = "cosine"
    implementation: str = "reference"

    def __call__(self, problem: Problem) -> Made:
        shared = shared_tokens(problem, self.vectors_VxA, "omp")
        new = self.vectors_VxA[problem.match.new]
        found = matching_pursuit(
            new, self.vectors_VxA[shared], self.k, select=self.select, implementation=self.implementation
        )
        index, coefficients = np.asarray(found.index_TxK), np.asarray(found.coefficients_TxK)
        token, place = np.nonzero(coefficients)
        source = problem.match.ids_V[shared[index[token, place]]]
        weights = from_triples(problem, token, source, coefficients[token, place])
        return combined(problem, weights, np.asarray(found.residual_T))
