"""A new token's row from those of tokens that are like it in another space, in which both have vectors.

FOCUS (arXiv 2305.14481) takes all that are shared, weighted by the sparsemax of cosines; WECHSEL (arXiv 2112.06598)
the ten next of all that the source has, by their softmax at temperature 0.1. Where the vectors come from is another
matter: they may be of a model, or trained on text (`lexitok.transfer.vectors`).
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
    shared_candidates,
    softmax_within,
    source_candidates,
)

WEIGHTINGS = ("sparsemax", "softmax")
AMONG = ("shared", "source")


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest tokens by cosine of auxiliary vectors. A token without a vector (zeros) has the mean of its parts.

    `Neighbours(vectors)` is FOCUS; WECHSEL is `Neighbours(vectors, "softmax", most=10, temperature=0.1,
    among="source", source_vectors_UxA=...)`. Both papers draw the row of a token without a vector at random.

    Attributes:
      vectors_VxA: of the target's tokens, those that the source has among them.
      weighting: of the cosines: `sparsemax` or `softmax`.
      most: neighbours at most; 0: all.
      temperature: that cosines are divided by.
      among: whom neighbours are looked for among: the tokens that both have (`shared`), or all of the `source`.
      source_vectors_UxA: of the source's tokens in the same space, for `source`.
    """

    vectors_VxA: Float[np.ndarray, "V A"]
    weighting: str = "sparsemax"
    most: int = 0
    temperature: float = 1.0
    among: str = "shared"
    source_vectors_UxA: Float[np.ndarray, "U _"] | None = None

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise TransferError(f"neighbours: unknown weighting '{self.weighting}'; there are {', '.join(WEIGHTINGS)}")
        if self.temperature <= 0 or self.most < 0:
            raise TransferError(
                f"neighbours: temperature is {self.temperature}, most is {self.most}; above 0, and 0 or more"
            )
        if self.among not in AMONG:
            raise TransferError(f"neighbours: unknown among '{self.among}'; there are {', '.join(AMONG)}")
        if self.among == "source" and self.source_vectors_UxA is None:
            raise TransferError("neighbours: among=source needs source_vectors_UxA")

    def __call__(self, problem: Problem) -> Made:
        if self.source_vectors_UxA is None or self.among == "shared":
            candidates = shared_candidates(problem, self.vectors_VxA, "neighbours")
        else:
            candidates = source_candidates(problem, self.vectors_VxA, self.source_vectors_UxA, "neighbours")
        weights = neighbour_weights(problem, self.vectors_VxA, candidates, self._weigh)
        return combined(problem, or_mean(problem, weights))

    def _weigh(self, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        most = min(self.most or cosines.shape[1], cosines.shape[1])
        if self.weighting == "softmax":
            row, near = nearest(cosines, most)
            return row, near, softmax_within(row, cosines[row, near].astype(np.float64) / self.temperature)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
        weights = sparsemax(np.take_along_axis(cosines, order, axis=1).astype(np.float64) / self.temperature)
        row, place = np.nonzero(weights)
        return row, order[row, place], weights[row, place]


def sparsemax(descending_NxK: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """The nearest probabilities to scores that fall from left to right (arXiv 1602.02068): most are exactly 0."""
    count = np.arange(1, descending_NxK.shape[1] + 1)
    total = np.cumsum(descending_NxK, axis=1)
    kept = (1 + count * descending_NxK > total).sum(axis=1)
    threshold = (np.take_along_axis(total, kept[:, None] - 1, axis=1) - 1) / kept[:, None]
    return np.maximum(descending_NxK - threshold, 0.0)
