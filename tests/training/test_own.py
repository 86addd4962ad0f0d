"""What an objective has of its own goes on as its optimizer and its memory say."""

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from lexitok.nn.parameters import ones
from lexitok.training.own import OwnMaker


def test_parameters_take_their_share_of_the_rate_and_memory_what_it_is_told():
    """The factor is of the update, so that an optimizer which scales gradients away does not take it back."""
    maker = OwnMaker(
        parameters=lambda rngs, model: {"a": ones("D", 3)},
        memory={"seen": jnp.zeros(())},
        remember=lambda memory, sums: {"seen": memory["seen"] + sums["loss"]},
        factor=0.5,
    )
    optimizer = optax.sgd(0.1)
    own = maker.make(nnx.Rngs(0), None, optimizer)
    gradients = {"a": ones("D", 3)}
    for _ in range(2):
        own = maker.next(own, gradients, {"loss": jnp.asarray(2.0)}, optimizer)
    np.testing.assert_allclose(own.parameters["a"][...], 1 - 2 * 0.5 * 0.1 * np.ones(3), rtol=1e-6)
    assert float(own.memory["seen"]) == 4


def test_there_may_be_memory_alone():
    """Weights of losses have no gradient."""
    maker = OwnMaker(memory={"seen": jnp.ones(2)})
    own = maker.make(nnx.Rngs(0), None, optax.sgd(0.1))
    assert own.parameters is None and own.optimizer is None
    assert maker.next(own, None, {}, optax.sgd(0.1)).memory["seen"].tolist() == [1, 1]
