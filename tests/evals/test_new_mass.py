"""The probability of new symbols, against the whole softmax."""

import jax
import numpy as np
import pytest
from samples import TEXT, small

from lexitok.data.windows import eval_batches
from lexitok.evals.new_mass import NewMass, mass_table, new_mass
from lexitok.sharding import make_mesh

SHAPE = {"rows": 8, "symbols": 32, "units": 8, "overlap": 0.5}
DOCUMENTS = [TEXT, b"", TEXT[:40]]
NEW = [ord("e"), ord("o"), 200]


@pytest.fixture(scope="module")
def expected():
    model, encoder = small("bytes")
    sums, counts = np.zeros(2), np.zeros(2, int)
    logits_of = jax.jit(lambda model, batch: model.logits(batch))
    for batch, ranges in eval_batches(DOCUMENTS, encoder, **SHAPE):
        p_BxSxV = jax.nn.softmax(np.asarray(logits_of(model, batch), np.float64), axis=-1)
        for scored in ranges:
            for column in range(scored.column, scored.column + scored.length):
                of_new = int(batch.tokens.targets_BxS[scored.row, column] in NEW)
                sums[of_new] += float(p_BxSxV[scored.row, column, NEW].sum())
                counts[of_new] += 1
    return counts, sums


@pytest.mark.parametrize("mesh", [None, {"data": 2, "fsdp": 2, "tensor": 2}])
def test_every_position_counts_once(expected, mesh):
    """By the reference symbol; whatever the windows and the mesh."""
    model, encoder = small("bytes")
    counts, sums = expected
    if mesh is None:
        found = new_mass(model, encoder, DOCUMENTS, NEW, **SHAPE, chunk=16)
    else:
        with jax.set_mesh(make_mesh(**mesh)):
            found = new_mass(model, encoder, DOCUMENTS, NEW, **SHAPE)
    assert (found.old_positions, found.new_positions) == tuple(counts)
    assert counts.sum() == sum(map(len, DOCUMENTS)) + len(DOCUMENTS)  # and their ends
    np.testing.assert_allclose([found.old_sum, found.new_sum], sums, rtol=1e-4)
    np.testing.assert_allclose(found.mean, sums.sum() / counts.sum(), rtol=1e-4)


def test_what_there_is_none_of():
    """A text without new symbols has no mean over them."""
    assert "| – |" in mass_table({"before": NewMass(4, 0, 0.5, 0.0)}) and np.isnan(NewMass(4, 0, 0.5, 0.0).where_new)
    model, encoder = small("bytes")
    for documents, new in (([], NEW), (DOCUMENTS, []), (DOCUMENTS, [260]), (DOCUMENTS, [-1])):
        with pytest.raises(ValueError, match="new ids, which are to be from 0 to 259"):
            new_mass(model, encoder, documents, new, **SHAPE)
