"""Weights of losses that follow their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok import config as C
from lexitok.training.weighting import make_weighting

FIXED = {"alm": 1.0, "next_symbol": 3.0}


def test_gradients_are_made_as_large_as_one_another():
    """Times what the config says; weights keep their sum, or are the inverse of the norms."""
    norms = jnp.array([0.5, 8.0])
    kept, free = (make_weighting(C.weighting(kind="gradmag", preserve=p), FIXED).of(norms, {}) for p in (True, False))
    np.testing.assert_allclose(free * norms, [1.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(kept.sum(), 4.0, rtol=1e-6)
    np.testing.assert_allclose(kept / free, jnp.full(2, kept[0] / free[0]), rtol=1e-6)


def test_a_loss_without_a_gradient_has_no_weight():
    """A batch in which it compares nothing changes nothing of the others' weights but their share."""
    weights = make_weighting(C.weighting(kind="gradmag"), FIXED).of(jnp.array([0.0, 2.0]), {})
    np.testing.assert_allclose(weights, [0.0, 4.0])


def test_numbers_of_the_config_stay():
    """The default looks at nothing."""
    weighting = make_weighting(C.weighting(), FIXED)
    assert not weighting.norms and weighting.of(jnp.ones(2), {}).tolist() == [1.0, 3.0]


def test_a_loss_that_falls_slowly_gets_more_gradient():
    """Gradients are drawn together, to more where a loss has fallen less, and weights keep their sum."""
    equal = C.weighting(kind="gradnorm", alpha=0.0)
    found = {}
    for name, c in (("equal", equal), ("slow", C.weighting(kind="gradnorm", alpha=1.0))):
        weighting = make_weighting(c, FIXED)
        remember, memory = jax.jit(weighting.remember), weighting.memory
        norms = jnp.array([2.0, 1.0])
        for step in range(150):  # the second loss falls to a half, the first stays
            losses = jnp.array([1.0, 1.0 if step == 0 else 0.5])
            memory = remember(memory, losses, norms)
            assert float(weighting.of(norms, memory).sum()) == pytest.approx(4.0, rel=1e-5)
        assert memory["first"].tolist() == [1.0, 1.0]
        found[name] = np.asarray(weighting.of(norms, memory) * norms)
    np.testing.assert_allclose(found["equal"][0], found["equal"][1], rtol=0.1)
    assert found["slow"][0] == pytest.approx(2 * found["slow"][1], rel=0.15)


@pytest.mark.parametrize("odd", [0.0, -0.5])
def test_a_loss_that_compares_nothing_at_first_breaks_nothing(odd):
    """Nothing at the first step, or less than nothing: weights are numbers, and near where they began."""
    weighting = make_weighting(C.weighting(kind="gradnorm"), FIXED)
    remember, memory = jax.jit(weighting.remember), weighting.memory
    for losses in ([odd, 1.0], [0.7, 0.9], [odd, 0.8]):
        memory = remember(memory, jnp.array(losses), jnp.array([1.0, 1.0]))
    assert np.isfinite(memory["weights"]).all() and memory["first"].tolist() == pytest.approx([0.7, 1.0])
    np.testing.assert_allclose(memory["weights"], [1.0, 3.0], atol=0.2)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (C.weighting(kind="pcgrad"), "unknown weighting 'pcgrad'; there are fixed, gradmag, gradnorm"),
        (C.weighting(kind="gradnorm", lr=0.0), "to be above 0, not 0.0"),
    ],
)
def test_settings_that_there_are_not_are_named(section, message):
    """Before the first step."""
    with pytest.raises(ValueError, match=message):
        make_weighting(section, FIXED)
