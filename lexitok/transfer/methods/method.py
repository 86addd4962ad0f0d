"""What a method is given, and what it makes: rows for the tokens that the source has not."""

import dataclasses
import functools
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from lexitok.text.matching import Match
from lexitok.text.parts import Parts, parts_of
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError


@dataclasses.dataclass(frozen=True)
class Problem:
    """Rows of one of a model's tables are wanted for `n` new tokens.

    Attributes:
      source, target: the tokenizers.
      match: what of the target the source has; `match.new` are the tokens, in order.
      rows_UxD: float32, the table under the source.
      seed: of what is drawn at random.
      side: `entering` or `leaving`: by which of the model's tables symbols do.
    """

    source: Tokenizer
    target: Tokenizer
    match: Match
    rows_UxD: Float[np.ndarray, "U D"]
    seed: int = 0
    side: str = "entering"

    @functools.cached_property
    def parts(self) -> Parts:
        """The new tokens in tokens of the source."""
        tokens = self.target.vocabulary.token_bytes
        return parts_of((tokens[i] for i in self.match.new.tolist()), self.source)

    def leaving(self, rows_UxD: Float[np.ndarray, "U D"]) -> "Problem":
        """The same tokens, of the table by which they leave; their parts are not worked out again."""
        other = dataclasses.replace(self, rows_UxD=rows_UxD, side="leaving")
        vars(other).update({name: value for name, value in vars(self).items() if name == "parts"})
        return other

    @property
    def text_ids(self) -> Int[np.ndarray, "u"]:
        """The source's tokens of text."""
        return np.flatnonzero(self.source.vocabulary.lengths > 0).astype(np.int32)


class Made(NamedTuple):
    """Rows of new tokens.

    Attributes:
      rows_nxD: float32.
      weights_nxU: sparse; the combination of the source's rows that each is, empty where it is none.
      residual_n: see `lexitok.transfer.provenance.Provenance`; None: the method aims at nothing.
    """

    rows_nxD: Float[np.ndarray, "n D"]
    weights_nxU: scipy.sparse.csr_array
    residual_n: Float[np.ndarray, "n"] | None = None


@runtime_checkable
class Method(Protocol):
    """A way to make rows."""

    def __call__(self, problem: Problem) -> Made: ...


def combined(problem: Problem, weights_nxU: scipy.sparse.csr_array, residual_n: np.ndarray | None = None) -> Made:
    """The rows that are these combinations of the source's."""
    return Made(np.asarray(weights_nxU @ problem.rows_UxD, np.float32), weights_nxU, residual_n)


def from_triples(problem: Problem, token: np.ndarray, source: np.ndarray, weight: np.ndarray) -> scipy.sparse.csr_array:
    """Weights `[n, U]` from new tokens (by number), ids of the source, and their weights there; equal pairs add up."""
    shape = (len(problem.match.new), len(problem.rows_UxD))
    return scipy.sparse.coo_array((np.asarray(weight, np.float32), (token, source)), shape=shape).tocsr()


def scaled(weights_nxU: scipy.sparse.csr_array, by_n: Float[np.ndarray, "n"]) -> scipy.sparse.csr_array:
    """The weights, each token's times a number; those that become 0 are taken out."""
    data = weights_nxU.data * np.repeat(by_n, np.diff(weights_nxU.indptr)).astype(weights_nxU.dtype)
    out = scipy.sparse.csr_array((data, weights_nxU.indices, weights_nxU.indptr), shape=weights_nxU.shape, copy=True)
    out.eliminate_zeros()
    return out


def shared_tokens(problem: Problem, vectors_VxA: Float[np.ndarray, "V A"], method: str) -> Int[np.ndarray, "s"]:
    """The target's tokens of text that the source has too, for a method that compares vectors of the target's tokens.

    Raises:
      TransferError: there is not one vector for each of the target's ids, or one is not finite.
    """
    V = problem.target.vocabulary.size
    if len(vectors_VxA) != V:
        raise TransferError(f"{method}: {len(vectors_VxA)} auxiliary vectors for the target's {V} ids")
    finite = np.isfinite(vectors_VxA).all(axis=1)
    if not finite.all():
        raise TransferError(f"{method}: the auxiliary vector of id {int(np.argmin(finite))} is not finite")
    return np.flatnonzero((problem.match.ids_V >= 0) & (problem.target.vocabulary.lengths > 0))
