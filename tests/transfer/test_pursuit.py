"""Rows by matching pursuit in another model's table: where that says a token is a few others, it is these here too."""

import numpy as np
import pytest
from greedy import SOURCE, WORDS, Greedy, rows

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method
from lexitok.transfer.provenance import MADE
from lexitok.transfer.rows import init_embeddings

TARGET = Greedy((*WORDS, b"inner", b" hat"))


def donor(combinations, D=24):
    """A table in which the last tokens are combinations of shared ones, ids of the source to weights."""
    table = rows(TARGET, D=D, seed=7)
    for number, weights in enumerate(combinations):
        token = len(table) - len(combinations) + number
        table[token] = sum(weight * table[i] for i, weight in weights.items())
    return table


def test_combinations_are_found_and_said_again():
    """Exactly those tokens, with exactly those weights; of the source's rows, which the donor has never seen."""
    combinations = [{20: 1.5, 100: -0.5, 260: 0.25}, {33: 2.0}]
    table = rows(SOURCE)
    method = make_method("omp(k=6)", vectors_VxA=donor(combinations))
    made = init_embeddings(SOURCE, TARGET, table, None, method_in=method).entering
    for number, weights in enumerate(combinations):
        token = TARGET.vocabulary.size - 2 + number
        found = {i: weight for i, weight in made.provenance.of(token) if abs(weight) > 1e-4}
        assert found == pytest.approx(weights, abs=1e-4)
        np.testing.assert_allclose(made.rows_VxD[token], sum(w * table[i] for i, w in weights.items()), atol=1e-4)
        assert made.provenance.residual_V[token] < 1e-3
    assert np.isnan(made.provenance.residual_V[made.provenance.kind_V != MADE]).all()
    assert made.provenance.method == "omp(k=6, select=cosine, implementation=reference)"


def test_rows_that_are_nearly_the_same_do_not_make_long_ones():
    """Rows that were never trained differ by next to nothing in a donor's table, and by anything in another's: the
    difference of two of them, many times over, says something there and nonsense here."""
    table = donor([])
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(201, table.shape[1])).astype(np.float32)
    alike, target = table[40] + 0.02 * noise[:200], TARGET.vocabulary.size - 1
    table[40:240], table[target] = alike, table[40] + noise[200]
    longest = {}
    for select in ("cosine", "gain"):
        method = make_method(f"omp(k=4, select={select})", vectors_VxA=table)
        made = init_embeddings(SOURCE, TARGET, rows(SOURCE), None, method_in=method).entering
        longest[select] = np.linalg.norm(made.rows_VxD[target]) / np.linalg.norm(rows(SOURCE), axis=1).max()
    assert longest["cosine"] < 2 < 5 < longest["gain"]


def test_its_own_table_is_its_own_donor():
    """From the model's own rows the best that few tokens can make of a token, and better with more of them."""
    table = rows(TARGET, D=24)
    found = []
    for k in (1, 4, 12):
        method = make_method(f"omp(k={k})", vectors_VxA=table)
        made = init_embeddings(SOURCE, TARGET, table[: SOURCE.vocabulary.size], None, method_in=method).entering
        new = made.provenance.kind_V == MADE
        np.testing.assert_allclose(
            np.linalg.norm(made.rows_VxD[new] - table[new], axis=1) / np.linalg.norm(table[new], axis=1),
            made.provenance.residual_V[new],
            atol=1e-3,
        )
        found.append(made.provenance.residual_V[new])
    assert (found[0] > found[1]).all() and (found[1] > found[2]).all()


def test_vectors_that_do_not_fit_are_refused():
    """One of another vocabulary would give rows to the wrong tokens."""
    table = donor([])
    with pytest.raises(TransferError, match="omp: 269 auxiliary vectors for the target's 270 ids"):
        init_embeddings(SOURCE, TARGET, rows(SOURCE), None, method_in=make_method("omp", vectors_VxA=table[1:]))
    table[9] = np.nan
    with pytest.raises(TransferError, match="omp: the auxiliary vector of id 9 is not finite"):
        init_embeddings(SOURCE, TARGET, rows(SOURCE), None, method_in=make_method("omp", vectors_VxA=table))
