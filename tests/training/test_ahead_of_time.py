"""What is compiled before there is data has to be what is run."""

import jax
import pytest
from jax.sharding import PartitionSpec as P
from samples import small_config

from lexitok.data.rows import pack_rows
from lexitok.training.ahead_of_time import abstract_batch
from lexitok.training.setup import make_setup


@pytest.mark.parametrize("kind", ["bytes", "hat_v2", "hnet"])
def test_the_batch_that_is_compiled_for_is_what_packing_makes(kind):
    """A difference in shape, type or structure would compile the step once more, on a pod for minutes."""
    c = small_config(kind)
    c.data.rows = 8
    setup = make_setup(c)
    described = abstract_batch(setup)
    assert {leaf.sharding.spec for leaf in jax.tree.leaves(described)} == {P(("data", "fsdp"))}
    units = None if kind == "bytes" else c.data.units
    packed = pack_rows([[]] * 8, symbols=c.data.symbols, units=units, pad=setup.encoder.vocabulary.pad)
    assert jax.tree.structure(described) == jax.tree.structure(packed)
    for x, y in zip(jax.tree.leaves(described), jax.tree.leaves(packed), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
