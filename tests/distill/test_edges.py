"""Losses where they are most likely to break: low precision, and gradients along a line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import (
    TOGETHER,
    aligned_batch,
    made_losses,
    model_of,
    pair_of,
    parameters_of,
    program_of,
    states_of,
)

# They choose, sort or compare by what moves, or hold a part of themselves still.
NOT_SMOOTH = {"one_to_one", "hybrid", "uld", "dskd"}


def subject():
    (ours, a), (theirs, b) = model_of("others"), model_of("pairs", 1)
    return ours, theirs, (a, b)


@pytest.mark.parametrize("names", TOGETHER, ids=["covering", "others"])
def test_low_precision_changes_little(names):
    """Models that compute in bfloat16 hand on states of it; what is made of them is computed in float32."""
    ours, theirs, encoders = subject()
    batch, losses = aligned_batch(*encoders), made_losses(names, encoders)
    parameters = {name: parameters_of(loss, ours, theirs) for name, loss in losses.items()}

    @jax.jit
    def means(ours, theirs, batch):
        found = []
        for dtype in (jnp.float32, jnp.bfloat16):
            pair = pair_of(ours, theirs, batch, encoders, dtype)
            compared = [loss(pair, parameters[name]) for name, loss in losses.items()]
            assert all(x.values.dtype == jnp.float32 for x in compared)
            found.append(jnp.stack([x.mean for x in compared]))
        return found

    whole, half = means(ours, theirs, batch)
    np.testing.assert_allclose(half, whole, rtol=0.05, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("names", TOGETHER, ids=["covering", "others"])
def test_gradients_are_slopes(names):
    """Along a random line, what a loss rises is what its gradient says."""
    ours, theirs, encoders = subject()
    batch, losses = aligned_batch(*encoders), made_losses(names, encoders)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    at = jax.jit(states_of)(ours, batch)
    line = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape) * jnp.abs(x).mean(), at)
    step = 2e-3
    moved = [jax.tree.map(lambda v, s=s: s * v, line) for s in (0.0, step, -step)]
    program = program_of(losses, ours, theirs, encoders)
    here, up, down = (program(ours, theirs, batch, by) for by in moved)
    for name in set(names) - NOT_SMOOTH:
        sides = zip(jax.tree.leaves(here[name][1]), jax.tree.leaves(line), strict=True)
        slope = sum(float(np.vdot(a, b)) for a, b in sides)
        assert (up[name][0] - down[name][0]) / (2 * step) == pytest.approx(slope, rel=0.05, abs=2e-3), name
