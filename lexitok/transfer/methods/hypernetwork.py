"""A new token's row as a trained hypernetwork makes it, for its base model or for one that was fine-tuned from it.

What the fine-tuning did to the rows of a token's parts is added to what is made of the base model's (arXiv 2405.07883):
a row is `made(base) + weight * heuristic(given - base)`. For a hypernetwork of the residual form that is
`heuristic(base + weight * (given - base))` and what it adds to that; for the base model it is its own rows.
"""

import dataclasses

import numpy as np
import scipy.sparse
from jaxtyping import Float

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.method import Made, Problem


@dataclasses.dataclass(frozen=True, eq=False)
class PredictedSide:
    """What a hypernetwork makes of a vocabulary, of one of its base model's tables.

    Attributes:
      rows_VxD: float32, of the target's ids.
      base_UxD: float32, the base model's table.
      weights_VxU: sparse; the weights of the base model's rows in its heuristic.
    """

    rows_VxD: Float[np.ndarray, "V D"]
    base_UxD: Float[np.ndarray, "U D"]
    weights_VxU: scipy.sparse.csr_array


@dataclasses.dataclass(frozen=True, eq=False)
class Predicted:
    """What a hypernetwork makes of a vocabulary.

    Attributes:
      entering, leaving: of each table; where the base model has one, they are the same.
      source: fingerprint of the base model's vocabulary.
    """

    entering: PredictedSide
    leaving: PredictedSide
    source: str


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Rows of a hypernetwork; their provenance is its heuristic's.

    Attributes:
      predicted: what it makes of the target.
      weight: of what fine-tuning did; the published script has 0.5.
    """

    predicted: Predicted
    weight: float = 1.0

    def __call__(self, problem: Problem) -> Made:
        side: PredictedSide = getattr(self.predicted, problem.side)
        given, new = problem.rows_UxD, problem.match.new
        if self.predicted.source != problem.source.vocabulary.fingerprint or side.base_UxD.shape != given.shape:
            raise TransferError(
                f"hypernetwork: it was trained for a model with a table of {_shape(side.base_UxD)}, and this has one "
                f"of {_shape(given)}, or other tokens: it serves its base model and what was fine-tuned from it"
            )
        if len(side.rows_VxD) != problem.target.vocabulary.size:
            V = problem.target.vocabulary.size
            raise TransferError(f"hypernetwork: {len(side.rows_VxD)} rows for the target's {V} ids")
        weights = side.weights_VxU[new]
        moved = weights @ (given - side.base_UxD)
        rows = side.rows_VxD[new] + np.float32(self.weight) * moved
        return Made(np.asarray(rows, np.float32), scipy.sparse.csr_array(weights))


def _shape(table: np.ndarray) -> str:
    return " x ".join(map(str, table.shape))
