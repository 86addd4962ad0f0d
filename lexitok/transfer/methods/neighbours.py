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


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of the tokens that both tokenizers have, by cosine of auxiliary vectors: with its defaults FOCUS.

    A token without a vector (zeros) has the mean of its parts, where both papers draw its row at random.

    Attributes:
      vectors_VxA: of the target's tokens, those that the source has among them.
      weighting: of the cosines: `sparsemax` or `softmax`.
      most: neighbours at most; 0: all.
      temperature: that cosines are divided by.
    """

    vectors_VxA: Float[np.ndarray, "V A"]
    weighting: str = "sparsemax"
    most: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        _check("neighbours", self.weighting, self.most, self.temperature)

    def __call__(self, problem: Problem) -> Made:
        candidates = shared_candidates(problem, self.vectors_VxA, "neighbours")
        return combined(
            problem, or_mean(problem, neighbour_weights(problem, self.vectors_VxA, candidates, self._weigh))
        )

    def _weigh(self, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _weigh(cosines, self.weighting, self.most, self.temperature)


@dataclasses.dataclass(frozen=True, eq=False)
class SourceNeighbours:
    """The nearest of all tokens of the source, whether the target has them or not: with its defaults WECHSEL.

    Attributes:
      vectors_VxA, source_vectors_UxA: of the target's and the source's tokens, in one space.
      weighting, most, temperature: as of `Neighbours`.
    """

    vectors_VxA: Float[np.ndarray, "V A"]
    source_vectors_UxA: Float[np.ndarray, "U _"]
    weighting: str = "softmax"
    most: int = 10
    temperature: float = 0.1

    def __post_init__(self) -> None:
        _check("source_neighbours", self.weighting, self.most, self.temperature)

    def __call__(self, problem: Problem) -> Made:
        candidates = source_candidates(problem, self.vectors_VxA, self.source_vectors_UxA, "source_neighbours")
        return combined(
            problem, or_mean(problem, neighbour_weights(problem, self.vectors_VxA, candidates, self._weigh))
        )

    def _weigh(self, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _weigh(cosines, self.weighting, self.most, self.temperature)


def _check(name: str, weighting: str, most: int, temperature: float) -> None:
    if weighting not in WEIGHTINGS:
        raise TransferError(f"{name}: unknown weighting '{weighting}'; there are {', '.join(WEIGHTINGS)}")
    if temperature <= 0 or most < 0:
        raise TransferError(f"{name}: temperature is {temperature}, most is {most}; above 0, and 0 or more")


def _weigh(
    cosines: np.ndarray, weighting: str, most: int, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and weights of the cosines that count."""
    most = min(most or cosines.shape[1], cosines.shape[1])
    if weighting == "softmax":
        row, near = nearest(cosines, most)
        return row, near, softmax_within(row, cosines[row, near].astype(np.float64) / temperature)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
    weights = sparsemax(np.take_along_axis(cosines, order, axis=1).astype(np.float64) / temperature)
    row, place = np.nonzero(weights)
    return row, order[row, place], weights[row, place]


def sparsemax(descending_NxK: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """The nearest probabilities to scores that fall from left to right (arXiv 1602.02068): most are exactly 0."""
    count = np.arange(1, descending_NxK.shape[1] + 1)
    total = np.cumsum(descending_NxK, axis=1)
    kept = (1 + count * descending_NxK > total).sum(axis=1)
    threshold = (np.take_along_axis(total, kept[:, None] - 1, axis=1) - 1) / kept[:, None]
    return np.maximum(descending_NxK - threshold, 0.0)
