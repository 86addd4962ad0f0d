"""A new token's row from those of tokens that are like it in another space, in which both have vectors.

FOCUS (arXiv 2305.14481) takes all that are shared, weighted by the sparsemax of cosines; WECHSEL (arXiv 2112.06598)
the ten next, by their softmax at temperature 0.1. Where the vectors come from is another matter: they may be of a
model, or trained on text.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import scipy.sparse
from jaxtyping import Float

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.method import Made, Problem, combined, from_triples, shared_tokens

WEIGHTINGS = ("sparsemax", "softmax")
_BLOCK = 1 << 24  # cosines that are held at once


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of the tokens that both tokenizers have, by cosine of auxiliary vectors.

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
        if self.weighting not in WEIGHTINGS:
            raise TransferError(f"neighbours: unknown weighting '{self.weighting}'; there are {', '.join(WEIGHTINGS)}")
        if self.temperature <= 0 or self.most < 0:
            raise TransferError(
                f"neighbours: temperature is {self.temperature}, most is {self.most}; above 0, and 0 or more"
            )

    def __call__(self, problem: Problem) -> Made:
        shared = shared_tokens(problem, self.vectors_VxA, "neighbours")
        unit = _unit(self.vectors_VxA)
        weights = scipy.sparse.csr_array((len(problem.match.new), len(problem.rows_UxD)), dtype=np.float32)
        for start, cosines in _blocks(unit[problem.match.new], unit[shared]):
            token, near, weight = self._weigh(cosines)
            weights = weights + from_triples(problem, token + start, problem.match.ids_V[shared[near]], weight)
        return combined(problem, weights)

    def _weigh(self, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """New tokens, neighbours and weights of those that have some."""
        most = min(self.most or cosines.shape[1], cosines.shape[1])
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
        scores = np.take_along_axis(cosines, order, axis=1).astype(np.float64) / self.temperature
        weights = sparsemax(scores) if self.weighting == "sparsemax" else _softmax(scores)
        token, place = np.nonzero(weights)
        return token, order[token, place], weights[token, place]


def sparsemax(descending_NxK: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """The nearest probabilities to scores that fall from left to right (arXiv 1602.02068): most are exactly 0."""
    count = np.arange(1, descending_NxK.shape[1] + 1)
    total = np.cumsum(descending_NxK, axis=1)
    kept = (1 + count * descending_NxK > total).sum(axis=1)
    threshold = (np.take_along_axis(total, kept[:, None] - 1, axis=1) - 1) / kept[:, None]
    return np.maximum(descending_NxK - threshold, 0.0)


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _blocks(new: np.ndarray, shared: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    each = max(1, _BLOCK // max(1, len(shared)))
    for start in range(0, len(new), each):
        yield start, new[start : start + each] @ shared.T
