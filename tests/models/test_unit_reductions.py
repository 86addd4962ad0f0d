"""Sums and softmaxes over units, against loops."""

import jax
import jax.numpy as jnp
import numpy as np

from lexitok.models import unit_reductions

OF = jnp.array([[0, 0, 0, 1, 2, 2, 5, 5], [0, 1, 1, 1, 1, 2, 3, 3]], jnp.int32)
W = 5  # index 5 is padding, unit 3 and 4 of the first row do not exist


def test_segment_softmax_and_sum():
    """Each unit is a softmax of its own; padding and units that do not exist stay zero, and nothing is NaN."""
    scores = jax.random.normal(jax.random.key(0), (2, 8, 3)) * 50
    weights = unit_reductions.unit_softmax(scores, OF, W)
    x = jax.random.normal(jax.random.key(1), (2, 8, 3))
    pooled = unit_reductions.unit_sum(weights * x, OF, W)
    for row in range(2):
        for unit in range(W):
            at = np.flatnonzero(np.asarray(OF)[row] == unit)
            if not len(at):
                np.testing.assert_array_equal(pooled[row, unit], 0.0)
                continue
            e = np.exp(np.asarray(scores)[row, at] - np.asarray(scores)[row, at].max(0))
            np.testing.assert_allclose(weights[row, at], e / e.sum(0), rtol=1e-4, atol=1e-6)
            expected = (e / e.sum(0) * np.asarray(x)[row, at]).sum(0)
            np.testing.assert_allclose(pooled[row, unit], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(weights[0, 6:], 0.0)


def test_gradient_of_segment_softmax_is_finite_with_empty_units():
    """The largest score of a unit that does not exist is minus infinity; no gradient may pass through it."""
    scores = jax.random.normal(jax.random.key(0), (2, 8, 3))
    grad = jax.grad(lambda s: (unit_reductions.unit_softmax(s, OF, W) ** 2).sum())(scores)
    assert np.isfinite(grad).all() and np.abs(grad).max() > 0


def test_first_positions_and_opens():
    """Where units begin."""
    np.testing.assert_array_equal(unit_reductions.first_positions(OF, W)[0, :3], [0, 3, 4])
    np.testing.assert_array_equal(unit_reductions.first_positions(OF, W)[1, :4], [0, 1, 5, 6])
    np.testing.assert_array_equal(unit_reductions.opens_unit(OF)[0], [1, 0, 0, 1, 1, 0, 1, 0])
