"""Weighted hypotheses of how a text came about: the heaviest are kept, and what the others weighed is counted.

A hypothesis is a prefix of symbols that spells a text, and its weight the log of its probability. Axes: `B` texts, `N`
hypotheses, of which `K` are kept. All float64, on the host: there are few of them.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64


class Kept(NamedTuple):
    """The heaviest hypotheses of each text.

    Attributes:
      index_BxK: which they are, the heaviest first; of equal ones, those that come first.
      weights_BxK: relative to the total, so that they add up to 1 where none is left out.
      total_B: log of what all weighed together, those left out included.
      left_out_B: log of the share of it that those left out weighed; -inf: nothing.
    """

    index_BxK: Int64[np.ndarray, "B K"]
    weights_BxK: Float64[np.ndarray, "B K"]
    total_B: Float64[np.ndarray, "B"]
    left_out_B: Float64[np.ndarray, "B"]


def log_sum(weights_BxN: Float64[np.ndarray, "B N *more"]) -> Float64[np.ndarray, "B *more"]:
    """Log of what all weigh together; not a number where one is none, for the caller to find out."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp.reduce(weights_BxN, axis=1)


def heaviest(weights_BxN: Float64[np.ndarray, "B N"], K: int) -> Kept:
    """The `K` heaviest hypotheses of each text.

    Args:
      weights_BxN: -inf: no hypothesis. Where a text has none, or one is not a number, its `total_B` is not finite, and
        all else of it means nothing.
      K: `N` at most.
    """
    order = np.argsort(-weights_BxN, axis=1, kind="stable")
    total_B = log_sum(weights_BxN)
    origin = np.where(np.isfinite(total_B), total_B, 0.0)[:, None]
    weights = np.take_along_axis(weights_BxN, order, axis=1) - origin
    left_out_B = log_sum(weights[:, K:])
    return Kept(order[:, :K], weights[:, :K], total_B, left_out_B)


def lost_after(lost_B: Float64[np.ndarray, "B"], left_out_B: Float64[np.ndarray, "B"]) -> Float64[np.ndarray, "B"]:
    """Log of the share that is lost once `left_out_B` of what was not is left out too: of 0.1, then 0.2, it is 0.28."""
    with np.errstate(divide="ignore"):  # where all is lost
        remains_B = np.log(-np.expm1(lost_B))
    return np.minimum(np.logaddexp(lost_B, remains_B + left_out_B), 0.0)
