"""Rows that a hypernetwork makes, as a method of a transfer: its own for its base model, moved for a fine-tuned one."""

import numpy as np
import pytest
import scipy.sparse
from greedy import SOURCE, WORDS, Greedy, rows

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method
from lexitok.transfer.methods.hypernetwork import Predicted, PredictedSide
from lexitok.transfer.provenance import MADE
from lexitok.transfer.rows import init_embeddings

TARGET = Greedy((*WORDS, b"inner", b" hat"))


def side(seed):
    """Random rows, whose heuristic is half of one row of the base and half of another."""
    V, U = TARGET.vocabulary.size, SOURCE.vocabulary.size
    halves = scipy.sparse.lil_array((V, U), dtype=np.float32)
    halves[V - 2, [20, 30]] = halves[V - 1, [40, 50]] = 0.5
    return PredictedSide(rows(TARGET, seed=seed), rows(SOURCE, seed=seed + 1), halves.tocsr())


PREDICTED = Predicted(side(10), side(20), SOURCE.vocabulary.fingerprint)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_rows_are_its_own_and_move_with_the_model(weight):
    """By each table's own; what fine-tuning did to the parts counts with its weight; others are the model's."""
    method = make_method(f"hypernetwork(weight={weight})", predicted=PREDICTED)
    moved = rows(SOURCE, seed=5)
    tables = (PREDICTED.entering.base_UxD + moved, PREDICTED.leaving.base_UxD)
    found = init_embeddings(SOURCE, TARGET, *tables, method_in=method)
    assert found.leaving is not None
    new = found.entering.provenance.kind_V == MADE
    assert new.sum() == 2 and found.entering.provenance.method == f"hypernetwork(weight={weight})"
    shift = weight * (moved[[20, 40]] + moved[[30, 50]]) / 2
    np.testing.assert_allclose(found.entering.rows_VxD[new], PREDICTED.entering.rows_VxD[new] + shift, atol=1e-5)
    np.testing.assert_array_equal(found.leaving.rows_VxD[new], PREDICTED.leaving.rows_VxD[new])
    np.testing.assert_array_equal(found.leaving.rows_VxD[:268], tables[1])
    assert found.entering.provenance.of(TARGET.vocabulary.size - 1) == [(40, 0.5), (50, 0.5)]


def test_rows_for_another_model_are_refused():
    """Of another width, of other tokens, for another target: they would be noise."""
    method = make_method("hypernetwork", predicted=PREDICTED)
    with pytest.raises(TransferError, match="trained for a model with a table of 268 x 6, and this has one of 268 x 4"):
        init_embeddings(SOURCE, TARGET, rows(SOURCE, D=4), None, method_in=method)
    other = Greedy((*WORDS[1:], b"xyz"))
    with pytest.raises(TransferError, match="or other tokens"):
        init_embeddings(other, TARGET, rows(other), None, method_in=method)
    with pytest.raises(TransferError, match="270 rows for the target's 269 ids"):
        init_embeddings(SOURCE, Greedy((*WORDS, b"inner")), rows(SOURCE), None, method_in=method)
