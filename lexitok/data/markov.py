"""The source `markov`: a language whose probabilities are known, so that what a model has not learnt is a number.

Each byte depends on the two before it, by probabilities that were drawn once. Of a text it is known what the source
gives it (`nats`): no model does better but by chance, and what one is above it, it has not learnt.
"""

import functools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from lexitok.data.readers import RawDocument

LICENSE = "none is needed: random letters"
LETTERS = b" abcdefgh"
DOCUMENTS, BYTES = 4000, 512  # of each document
CONCENTRATION = 0.3  # of the Dirichlet distribution that probabilities are drawn from: the less, the surer
VERSION = 1  # of what is drawn: another number, another language


@functools.cache
def probabilities() -> Float[np.ndarray, "9 9 9"]:
    """Of each letter behind each two, in the order of `LETTERS`."""
    n = len(LETTERS)
    return np.random.default_rng([VERSION, 0]).dirichlet(np.full(n, CONCENTRATION), size=(n, n))


def read_markov() -> Iterator[RawDocument]:
    """The documents, the same everywhere."""
    rng, n = np.random.default_rng([VERSION, 1]), len(LETTERS)
    sums = np.cumsum(probabilities(), axis=-1)
    found = np.empty((DOCUMENTS, BYTES), np.int64)
    found[:, :2] = rng.integers(n, size=(DOCUMENTS, 2))
    for i in range(2, BYTES):
        of = sums[found[:, i - 2], found[:, i - 1]]
        found[:, i] = np.minimum((of < rng.random((DOCUMENTS, 1))).sum(axis=1), n - 1)
    letters = np.frombuffer(LETTERS, np.uint8)[found]
    for number, row in enumerate(letters):
        yield RawDocument(f"{number:05d}", row.tobytes())


def nats(document: bytes) -> float:
    """Minus the logarithm of the probability that the source gives a text.

    Raises:
      ValueError: a byte that the source has not; names it.
    """
    at = np.array([LETTERS.find(byte) for byte in document], np.int64)
    if (at < 0).any():
        raise ValueError(f"the source 'markov' has no byte {document[int(np.argmax(at < 0))]!r}")
    p = np.full(len(at), 1 / len(LETTERS))
    p[2:] = probabilities()[at[:-2], at[1:-1], at[2:]]
    return float(-np.log(p).sum())


def entropy_rate() -> float:
    """Nats a byte of a long text."""
    p, n = probabilities(), len(LETTERS)
    pairs = np.full((n, n), 1 / n**2)
    for _ in range(1000):  # until the pairs of letters are as frequent as they stay
        pairs = np.einsum("ab,abc->bc", pairs, p)
    return float(-np.einsum("ab,abc,abc->", pairs, p, np.log(p)))
