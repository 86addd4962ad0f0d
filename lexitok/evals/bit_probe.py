"""Which bits of a symbol's id can be read off a model's vectors, by a linear map: what is left of a binary code."""

import dataclasses

import numpy as np

from lexitok.evals.text_rows import ProbeError


@dataclasses.dataclass(frozen=True)
class BitAccuracy:
    """How many bits of symbols' ids a linear probe finds in vectors that it was not trained on.

    Attributes:
      bits: float64 `[K]`, of each bit, the lowest first.
      exact: of whole ids, all bits right.
      majority: float64 `[K]`, accuracy of naming for each bit the value that most training vectors have.
    """

    bits: np.ndarray
    exact: float
    majority: np.ndarray


def bits_of(ids_N: np.ndarray, K: int) -> np.ndarray:
    """int64 `[N, K]`: the bits of each id, the lowest first."""
    return ids_N.astype(np.int64)[:, None] >> np.arange(K)[None] & 1


def bit_probe(
    x_NxD: np.ndarray, ids_N: np.ndarray, K: int, tested_N: np.ndarray, *, ridge: float = 1e-3
) -> BitAccuracy:
    """Ridge regression of the bits, as -1 and 1, on standardised vectors; in float64, solved in closed form.

    Args:
      x_NxD: vectors.
      ids_N: the symbol of each.
      K: bits of an id.
      tested_N: which vectors the probe is tested on; it is trained on the others.
      ridge: penalty on squared weights, with features of unit deviation and the mean of squared errors.

    Raises:
      ProbeError: no vectors to train on, or none to test on.
    """
    if tested_N.all() or not tested_N.any():
        raise ProbeError(
            f"a probe is tested on other vectors than it is trained on; of {len(x_NxD)} all are for one: take more text"
        )
    x = x_NxD.astype(np.float64)
    mean, deviation = x[~tested_N].mean(0), x[~tested_N].std(0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1.0)
    signs = 2.0 * bits_of(ids_N, K) - 1.0
    train, offset = x[~tested_N], signs[~tested_N].mean(0)
    gram = train.T @ train / len(train) + ridge * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, train.T @ (signs[~tested_N] - offset) / len(train))
    right = (x[tested_N] @ weights + offset > 0) == (signs[tested_N] > 0)
    majority = ((offset > 0) == (signs[tested_N] > 0)).mean(0)
    return BitAccuracy(right.mean(0), float(right.all(1).mean()), majority)


def held_out(groups_N: np.ndarray, *, fraction: float = 0.2, seed: int = 0) -> np.ndarray:
    """Bool `[N]`: all members of this fraction of the groups, which are drawn; `groups_N` says the group of each."""
    groups = np.random.default_rng(seed).permutation(np.unique(groups_N))
    return np.isin(groups_N, groups[: round(fraction * len(groups))])
