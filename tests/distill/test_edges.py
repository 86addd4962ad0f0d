"""Losses where they are most likely to break: nothing to compare, low precision, and gradients along a line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import LOSSES, aligned_batch, loss_and_gradient, model_of, pair_of, parameters_of
from samples import slow_if

from lexitok.distill.losses import make_loss

COVERING = ("alm", "byte_prefix", "dskd")
# They choose, sort or compare by what moves, or hold a part of themselves still.
NOT_SMOOTH = {"one_to_one", "hybrid", "uld", "dskd"}
NAMES = slow_if(lambda name: name not in COVERING, LOSSES)


def subject(student="others"):
    (ours, a), (theirs, b) = model_of(student), model_of("pairs", 1)
    return ours, theirs, (a, b)


@pytest.mark.parametrize("name", NAMES)
def test_where_there_is_next_to_nothing_to_compare(name):
    """Empty documents, and one byte, and rows without any: a number, and a gradient of numbers."""
    ours, theirs, encoders = subject()
    batch = aligned_batch(*encoders, documents=((b"", b""), (b"a", b""), ()))
    value, gradient = loss_and_gradient(make_loss(LOSSES[name], *encoders), ours, theirs, batch, encoders)
    assert np.isfinite(value)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", NAMES)
def test_low_precision_changes_little(name):
    """Models that compute in bfloat16 hand on states of it; what is made of them is computed in float32."""
    ours, theirs, encoders = subject()
    batch, loss = aligned_batch(*encoders), make_loss(LOSSES[name], *encoders)
    parameters = parameters_of(loss, ours, theirs)

    @jax.jit
    def means(ours, theirs, batch):
        found = []
        for dtype in (jnp.float32, jnp.bfloat16):
            pair = pair_of(ours, theirs, batch, encoders, dtype)
            found.append(loss(pair, parameters))
        return [compared.mean for compared in found], [compared.values.astype(jnp.float32) for compared in found]

    (whole, half), (values, _) = means(ours, theirs, batch)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(half, whole, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("name", slow_if(lambda name: name not in COVERING, sorted(set(LOSSES) - NOT_SMOOTH)))
def test_gradients_are_slopes(name):
    """Along a random line, what the loss rises is what its gradient says."""
    ours, theirs, encoders = subject()
    batch, loss = aligned_batch(*encoders), make_loss(LOSSES[name], *encoders)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    line = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape) * jnp.abs(x).mean(), ours)
    _, gradient = loss_and_gradient(loss, ours, theirs, batch, encoders)
    slope = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(line), strict=True))
    step = 2e-3
    up, down = (
        float(
            loss_and_gradient(loss, jax.tree.map(lambda x, v, s=s: x + s * v, ours, line), theirs, batch, encoders)[0]
        )
        for s in (step, -step)
    )
    assert (up - down) / (2 * step) == pytest.approx(slope, rel=0.05, abs=2e-3)
