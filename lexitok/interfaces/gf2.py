"""Linear maps over the field of two elements. A vector of `K` bits is an integer, a matrix a sequence of rows."""

from collections.abc import Sequence

import numpy as np


def inverse(rows: Sequence[int], K: int) -> tuple[int, ...] | None:
    """The rows of the inverse of a `K x K` matrix, or None if it has none."""
    left, right = list(rows), [1 << i for i in range(K)]
    for k in range(K):
        pivot = next((i for i in range(k, K) if left[i] >> k & 1), None)
        if pivot is None:
            return None
        for matrix in (left, right):
            matrix[k], matrix[pivot] = matrix[pivot], matrix[k]
        for i in range(K):
            if i != k and left[i] >> k & 1:
                left[i] ^= left[k]
                right[i] ^= right[k]
    return tuple(right)


def random_invertible(K: int, rng: np.random.Generator) -> tuple[int, ...]:
    """The rows of an invertible matrix, all of which are equally likely; about 29 % of all matrices are invertible."""
    while True:
        rows = tuple(int(row) for row in rng.integers(0, 1 << K, K))
        if inverse(rows, K) is not None:
            return rows


def affine(rows: Sequence[int], offset: int, x: np.ndarray) -> np.ndarray:
    """`A x + b` of each of the integers `x`: bit `i` is the parity of `rows[i] & x`, flipped where `offset` has a bit.

    Returns:
      int64, of the shape of `x`.
    """
    x = np.asarray(x, np.int64)
    bits = (np.bitwise_count(x & row).astype(np.int64) & 1 for row in rows)
    return sum((bit << i for i, bit in enumerate(bits)), np.zeros_like(x)) ^ offset
