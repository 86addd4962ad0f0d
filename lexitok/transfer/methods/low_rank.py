"""A new token's row from those of like tokens, in the space of few dimensions that the table's rows nearly lie in.

OFA (arXiv 2311.08849) writes a table as coordinates times primitive vectors, its singular value decomposition cut off,
gives a new token the coordinates of the tokens that are next to it in a space of word vectors (ten, by the softmax of
cosines at temperature 0.1), and then trains the two factors. Of this, the choice of coordinates is what holds for a
model with one table, which this is: the row is `c P` where `c` are the coordinates and `P` the primitive vectors. That
the table then has fewer parameters is another model; and rows that are taken over stay whole here, where OFA cuts them
off as well.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.method import Made, Problem, combined
from lexitok.transfer.methods.similarity import (
    nearest,
    neighbour_weights,
    or_mean,
    softmax_within,
    source_candidates,
)


@dataclasses.dataclass(frozen=True, eq=False)
class LowRank:
    """The combination of the source's nearest tokens, projected on the strongest directions of the source's rows.

    The weights are those of the combination; the row is its projection, and the residual how far that is from it.

    Attributes:
      vectors_VxA, source_vectors_UxA: of the target's and the source's tokens, in one space.
      rank: directions that are kept; from the width of the table on, all of them.
      most: neighbours.
      temperature: that cosines are divided by.
    """

    vectors_VxA: Float[np.ndarray, "V A"]
    source_vectors_UxA: Float[np.ndarray, "U _"]
    rank: int = 400
    most: int = 10
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if self.rank < 1 or self.most < 1 or self.temperature <= 0:
            raise TransferError(
                f"low_rank: rank is {self.rank}, most is {self.most}, temperature is {self.temperature}; 1 or more, "
                "1 or more, and above 0"
            )

    def __call__(self, problem: Problem) -> Made:
        candidates = source_candidates(problem, self.vectors_VxA, self.source_vectors_UxA, "low_rank")
        weights = or_mean(problem, neighbour_weights(problem, self.vectors_VxA, candidates, self._weigh))
        whole = combined(problem, weights).rows_nxD.astype(np.float64)
        axes_DxR = _strongest(problem.rows_UxD[problem.text_ids], self.rank)
        rows = whole @ axes_DxR @ axes_DxR.T
        length = np.linalg.norm(whole, axis=1)
        left = np.linalg.norm(whole - rows, axis=1)
        residual = np.divide(left, length, out=np.zeros_like(left), where=length > 0)
        return Made(rows.astype(np.float32), weights, residual.astype(np.float32))

    def _weigh(self, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, near = nearest(cosines, self.most)
        return row, near, softmax_within(row, cosines[row, near].astype(np.float64) / self.temperature)


def _strongest(rows_UxD: np.ndarray, rank: int) -> np.ndarray:
    """The right singular vectors `[D, R]` of the largest singular values."""
    rows = rows_UxD.astype(np.float64)
    _, axes = np.linalg.eigh(rows.T @ rows)  # rising
    return axes[:, ::-1][:, :rank]
