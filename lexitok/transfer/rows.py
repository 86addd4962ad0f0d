"""`init_embeddings`: the rows of a model's tables under a new tokenizer, and where each of them comes from."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.sparse
from jaxtyping import Float

from lexitok.text.matching import Match, match
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import Method, Problem, name_of
from lexitok.transfer.provenance import COPIED, MADE, SPECIAL, UNMATCHED, Provenance


@dataclasses.dataclass(frozen=True)
class NewRows:
    """A table under a new tokenizer.

    Attributes:
      rows_VxD: float32.
      provenance: of each row.
    """

    rows_VxD: Float[np.ndarray, "V D"]
    provenance: Provenance


@dataclasses.dataclass(frozen=True)
class NewTables:
    """The tables that symbols enter and leave by.

    Attributes:
      match: of the vocabularies.
      entering: of the table that symbols enter by.
      leaving: of that by which they leave; None where it is the same.
    """

    match: Match
    entering: NewRows
    leaving: NewRows | None


def init_embeddings(
    source: Tokenizer,
    target: Tokenizer,
    rows_in: Float[np.ndarray, "U D"],
    rows_out: Float[np.ndarray, "U D"] | None,
    *,
    method_in: Method,
    method_out: Method | None = None,
    specials: Mapping[int, int] | None = None,
    found: Match | None = None,
    seed: int = 0,
) -> NewTables:
    """The rows that a new tokenizer's ids begin with.

    A token of exactly the bytes of one of the source's has its row, to the last bit, and so has a special of the same
    role. Other tokens get what the methods make of the source's rows. Specials that the source does not have, ids that
    are never used, and tokens for which a method makes nothing (zeros), get the mean of its rows: a row of zeros would
    have the logit 0, which may be above all others.

    Args:
      source: the tokenizer that the model was trained with.
      target: the new one.
      rows_in: the table that symbols enter by, a row for each of the source's ids.
      rows_out: that by which they leave; None where it is the same (a tied model).
      method_in, method_out: for each of them; `method_out` None: that of `method_in`.
      specials: as of `lexitok.text.matching.match`.
      found: what of the target's ids the source has, where it is known from elsewhere; None: what `match` finds.
      seed: of what methods draw at random.

    Raises:
      TransferError: the tokenizers share nothing, a table does not fit the source or is not finite, a method has other
        needs than it is given, or makes rows that are not finite.
    """
    if rows_out is None and method_out is not None:
        raise TransferError("the model is tied, symbols leave by the table that they enter by: it takes no method_out")
    found = match(source.vocabulary, target.vocabulary, specials) if found is None else found
    _check_rows(rows_in, source, "in")
    problem = Problem(source, target, found, rows_in, seed)
    entering = _new_rows(problem, method_in)
    if rows_out is None:
        return NewTables(found, entering, None)
    _check_rows(rows_out, source, "out")
    return NewTables(found, entering, _new_rows(problem.leaving(rows_out), method_out or method_in))


def _check_rows(rows: np.ndarray, source: Tokenizer, side: str) -> None:
    size = source.vocabulary.size
    if len(rows) != size:
        raise TransferError(f"the table rows_{side} has {len(rows)} rows, and the source's tokenizer {size} ids")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise TransferError(f"rows_{side}: row {int(np.argmin(finite))} is not finite: the model has broken")


def _check_made(rows: np.ndarray, problem: Problem, method: str) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        token = problem.target.vocabulary.token_bytes[problem.match.new[int(np.argmin(finite))]]
        raise TransferError(f"{method} makes a row that is not finite for {token!r}")


def _new_rows(problem: Problem, method: Method) -> NewRows:
    match, source = problem.match, problem.rows_UxD
    V, (U, D) = len(match.ids_V), source.shape
    made = method(problem)
    mean_D = source.mean(axis=0, dtype=np.float64)
    _check_made(made.rows_nxD, problem, name_of(method))
    nothing = match.new[~made.rows_nxD.any(axis=1)]
    taken = np.flatnonzero(match.ids_V >= 0)
    rows = np.empty((V, D), np.float32)
    rows[taken] = source[match.ids_V[taken]]
    rows[match.new] = made.rows_nxD
    rows[match.unmatched] = rows[nothing] = mean_D
    kind = np.full(V, COPIED, np.int8)
    kind[problem.target.vocabulary.lengths == 0] = SPECIAL
    kind[match.unmatched] = UNMATCHED
    kind[match.new] = MADE
    kind[nothing] = UNMATCHED
    copies = scipy.sparse.coo_array((np.ones(len(taken), np.float32), (taken, match.ids_V[taken])), shape=(V, U))
    new = scipy.sparse.coo_array(made.weights_nxU)
    others = scipy.sparse.coo_array((new.data, (match.new[new.coords[0]], new.coords[1])), shape=(V, U))
    residual = np.full(V, np.nan, np.float32)
    if made.residual_n is not None:
        residual[match.new] = made.residual_n
    return NewRows(rows, Provenance(name_of(method), kind, (copies + others).tocsr(), residual))
