"""Smoothing over units against a loop."""

import jax
import numpy as np

from lexitok.models.unpools import smoothed

RNG = np.random.default_rng(0)
B, W, D = 2, 9, 3
X = RNG.normal(size=(B, W, D)).astype(np.float32)
CHANCE = RNG.uniform(size=(B, W)).astype(np.float32)
CHANCE[0, 3], CHANCE[1, 0], CHANCE[1, 5] = 0.0, 1.0, 1e-6  # no unit; sure; as good as none
OPENS = np.zeros((B, W), bool)
OPENS[:, 0] = OPENS[0, 4] = OPENS[1, 6] = True
run = jax.jit(smoothed)


def loop(x, chance, opens, held=None):
    out = np.zeros(x.shape)
    for b in range(len(x)):
        y = np.zeros(x.shape[2]) if held is None else held[b, 0].astype(np.float64)
        for w in range(x.shape[1]):
            p = np.clip(chance[b, w], 1e-4, 1 - 1e-4) if chance[b, w] > 0 else 0.0
            y = p * x[b, w] + (0.0 if opens[b, w] else 1.0 - p) * y
            out[b, w] = y
    return out


def test_equals_a_loop():
    """Each unit's guide is its own output and the guide before it, by the router's probability (H-Net, equation 5)."""
    np.testing.assert_allclose(run(X, CHANCE, OPENS), loop(X, CHANCE, OPENS), atol=1e-6)


def test_the_first_of_a_sure_unit_is_almost_itself():
    """Probabilities keep 1e-4 from 0 and 1, as published: a first unit is 0.9999 of its output."""
    np.testing.assert_allclose(run(X, CHANCE, OPENS)[1, 0], 0.9999 * X[1, 0], rtol=1e-6)


def test_where_no_unit_is_nothing_changes():
    """A position that closes nothing, in cached decoding, leaves the guide as it was, exactly."""
    y = np.asarray(run(X, CHANCE, OPENS))
    np.testing.assert_array_equal(y[0, 3], y[0, 2])


def test_pieces_start_afresh():
    """What stands in a row before a piece has no part in its guides."""
    other = X.copy()
    other[0, :4] += 5.0
    np.testing.assert_array_equal(run(other, CHANCE, OPENS)[0, 4:], run(X, CHANCE, OPENS)[0, 4:])


def test_goes_on_from_what_is_held():
    """Units that come one after the other get what they get together."""
    whole = np.asarray(run(X, CHANCE, OPENS))
    np.testing.assert_allclose(run(X[:, 2:], CHANCE[:, 2:], OPENS[:, 2:], whole[:, 1:2]), whole[:, 2:], atol=1e-6)
    held = RNG.normal(size=(B, 1, D)).astype(np.float32)
    np.testing.assert_allclose(run(X, CHANCE, OPENS, held), whole, atol=1e-6)  # both rows open a piece


def test_half_precision_is_smoothed_in_float32():
    """A running mean in bfloat16 would lose what it is a mean of."""
    x = jax.numpy.asarray(X, "bfloat16")
    y = run(x, CHANCE, OPENS)
    assert y.dtype == "bfloat16"
    np.testing.assert_allclose(np.float32(y), loop(np.float32(x), CHANCE, OPENS), atol=1e-2)
