"""Tokens of the source that are like a new one, by cosine of auxiliary vectors: what several methods begin with."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.composition import Mean
from lexitok.transfer.methods.method import Problem, from_triples, scaled, shared_tokens

_BLOCK = 1 << 24  # cosines that are held at once
Weigh = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]  # cosines -> rows, columns, weights


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The tokens of the source that may be neighbours of new ones.

    Attributes:
      ids_C: of the source.
      unit_CxA: their vectors, of length 1.
    """

    ids_C: Int[np.ndarray, "C"]
    unit_CxA: Float[np.ndarray, "C A"]


def shared_candidates(problem: Problem, vectors_VxA: Float[np.ndarray, "V A"], method: str) -> Candidates:
    """The tokens of text that both tokenizers have and that have a vector.

    Raises:
      TransferError: as `shared_tokens`; no shared token has a vector.
    """
    shared = shared_tokens(problem, vectors_VxA, method)
    return _with_vectors(
        problem.match.ids_V[shared], vectors_VxA[shared], f"{method}: none of the tokens that both have"
    )


def source_candidates(
    problem: Problem,
    vectors_VxA: Float[np.ndarray, "V A"],
    source_vectors_UxA: Float[np.ndarray, "U _"],
    method: str,
) -> Candidates:
    """All tokens of text of the source that have a vector, in the space of the target's.

    Raises:
      TransferError: there is not one vector for each id of either, one is not finite, they have different widths, or
        no token of the source has one.
    """
    shared_tokens(problem, vectors_VxA, method)  # for its checks
    U, A = problem.source.vocabulary.size, vectors_VxA.shape[1]
    if source_vectors_UxA.shape != (U, A):
        rows, width = source_vectors_UxA.shape
        raise TransferError(f"{method}: {rows} vectors of width {width} for the source's {U} ids, and {A} wide ones")
    finite = np.isfinite(source_vectors_UxA).all(axis=1)
    if not finite.all():
        raise TransferError(f"{method}: the vector of the source's id {int(np.argmin(finite))} is not finite")
    ids = problem.text_ids
    return _with_vectors(ids, source_vectors_UxA[ids], f"{method}: none of the source's tokens")


def neighbour_weights(
    problem: Problem, vectors_VxA: Float[np.ndarray, "V A"], candidates: Candidates, weigh: Weigh
) -> scipy.sparse.csr_array:
    """Weights `[n, U]` of the neighbours of new tokens; none at all for a token that has no vector (zeros).

    Args:
      problem: whose new tokens these are.
      vectors_VxA: of the target's tokens.
      candidates: the neighbours that there are.
      weigh: from cosines of some tokens to rows, columns and weights of those that count.
    """
    vectors = vectors_VxA[problem.match.new]
    known = np.flatnonzero(vectors.any(axis=1))
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0))]
    for start, cosines in _blocks(unit(vectors[known]), candidates.unit_CxA):
        row, near, weight = weigh(cosines)
        found.append((known[start + row], candidates.ids_C[near], weight))
    token, source, weight = (np.concatenate(some) for some in zip(*found, strict=True))
    return from_triples(problem, token, source, weight)


def or_mean(problem: Problem, weights_nxU: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """The weights, and for tokens that have none those of `Mean` of their parts."""
    none = np.diff(weights_nxU.indptr) == 0
    if not none.any():
        return weights_nxU
    return weights_nxU + scaled(Mean()(problem).weights_nxU, none.astype(np.float32))


def nearest(cosines_NxC: Float[np.ndarray, "N C"], most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the `most` largest of each row, or of all; of equal ones the first."""
    most = min(most, cosines_NxC.shape[1])
    least = np.partition(cosines_NxC, -most, axis=1)[:, -most]
    row, near = np.nonzero(cosines_NxC >= least[:, None])
    order = np.lexsort((near, -cosines_NxC[row, near], row))
    row, near = row[order], near[order]
    first = np.searchsorted(row, np.arange(len(cosines_NxC)))
    kept = np.arange(len(row)) - first[row] < most
    return row[kept], near[kept]


def softmax_within(group: Int[np.ndarray, "k"], scores: np.ndarray) -> Float[np.ndarray, "k"]:
    """The softmax of scores among those of one group; groups are numbered from 0, and rise."""
    if not len(group):
        return np.zeros(0)
    largest = np.maximum.reduceat(scores, np.flatnonzero(np.diff(group, prepend=-1)))
    weights = np.exp(scores.astype(np.float64) - largest[np.cumsum(np.diff(group, prepend=group[0]) > 0)])
    return weights / np.bincount(group, weights)[group]


def unit(vectors: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N A"]:
    """The vectors at length 1; those of zeros as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _with_vectors(ids: np.ndarray, vectors: np.ndarray, whose: str) -> Candidates:
    known = vectors.any(axis=1)
    if not known.any():
        raise TransferError(f"{whose} has a vector: all are zeros")
    return Candidates(ids[known].astype(np.int32), unit(vectors[known]))


def _blocks(new: np.ndarray, candidates: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    each = max(1, _BLOCK // len(candidates))
    for start in range(0, len(new), each):
        yield start, new[start : start + each] @ candidates.T
