"""A probe finds what a map of two layers can find, and nothing depends on chance but the seed."""

import jax
import numpy as np
import pytest

from lexitok.evals.mlp_probe import fit

RNG = np.random.default_rng(0)
SETTINGS = {"steps": 150, "batch": 64, "lr": 1e-2, "width": 16}


def parity(n):
    """Two features on scales of their own, a third that says nothing, and whether the signs of the first two agree."""
    x = RNG.normal(size=(n, 3))
    return x * np.array([100.0, 0.01, 0.0]) + np.array([1000.0, 0.0, 5.0]), (x[:, 0] * x[:, 1] > 0).astype(np.int64)


def test_it_learns_what_no_linear_map_can():
    """Parity of two signs needs the hidden layer, and their scales need the standardisation."""
    probe = fit(*parity(600), 2, **SETTINGS)
    x, y = parity(300)
    log_p = probe.log_p(x)
    assert (log_p.argmax(1) == y).mean() > 0.9
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1, atol=1e-5)
    again = fit(x, y, 2, **SETTINGS)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(fit(x, y, 2, **SETTINGS)), strict=True):
        np.testing.assert_array_equal(a, b)
    other = fit(x, y, 2, seed=1, **SETTINGS)
    assert (np.asarray(other.layers["into"]) != np.asarray(again.layers["into"])).any()


def test_what_does_not_fit_is_named():
    """A class out of range would be clipped without a word."""
    with pytest.raises(ValueError, match="classes from 0 to 7: they have to be in 0..6"):
        fit(np.ones((2, 3)), np.array([0, 7]), 7)
    with pytest.raises(ValueError, match=r"features of shape \(2, 3\) need a class each; classes have shape \(3,\)"):
        fit(np.ones((2, 3)), np.zeros(3, np.int64), 7)
