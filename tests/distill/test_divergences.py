"""Divergences of two yes-no questions: reference values, and what comes of certainty, in float32."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.distill.losses.divergences import DIVERGENCES, EPSILON, binary_divergence, log1mexp

LOG_P, LOG_Q = jnp.array([-0.1, -1, -5, -20]), jnp.array([-0.2, -3, -2, -25])
# Computed apart, in float64, without the small number that logarithms are made smaller by.
EXPECTED = {
    ("kl", 1.0): [0.0291613, 0.4781028, 0.1175046, 8.2585e-9],
    ("cross_entropy", 1.0): [0.3434835, 1.1359202, 0.1579096, 5.1543e-8],
    ("reverse_kl", 1.0): [0.0349362, 0.2877383, 0.2861177, 1.978e-9],
    ("total_variation", 1.0): [0.0861067, 0.3180924, 0.1285973, 2.047e-9],
    ("kl", 5.0): [0.0060758, 0.1621926, 0.1907561, 0.0068057],
    ("cross_entropy", 5.0): [0.1033407, 0.6355053, 0.8485736, 0.0982151],
    ("reverse_kl", 5.0): [0.0075728, 0.1919147, 0.1875843, 0.0049077],
    ("total_variation", 5.0): [0.0194092, 0.2699192, 0.3024406, 0.0115777],
    ("kl", 100.0): [3.0670e-4, 0.0089688, 0.0154239, 0.0048494],
    ("cross_entropy", 100.0): [0.0082105, 0.0647412, 0.2103031, 0.4781621],
    ("reverse_kl", 100.0): [3.8591e-4, 0.0127654, 0.0115575, 0.0050964],
    ("total_variation", 100.0): [9.985e-4, 0.0196043, 0.0289692, 0.0399300],
    ("kl", math.inf): [0.0306853, 0.9013877, 1.5814537, 0.5371290],
    ("total_variation", math.inf): [0.1, 2, 3, 5],
    ("squared_log_ratio", 1.0): [0.005, 2, 4.5, 12.5],
}


@pytest.mark.parametrize(("name", "temperature"), EXPECTED)
def test_values_are_those_of_the_reference(name, temperature):
    """From four pairs, likely and unlikely; at temperature 100 float32 has lost a few digits of what it is about."""
    found = binary_divergence(name, temperature)(LOG_P, LOG_Q)
    np.testing.assert_allclose(found, EXPECTED[name, temperature], rtol=2e-3, atol=1e-8 + 3e-6 * (temperature > 1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "temperature"), [*((name, 1.0) for name in DIVERGENCES), ("kl", 5.0), ("kl", math.inf)]
)
def test_certainty_is_no_fault(name, temperature, dtype):
    """Probabilities of 1, and all but 1: values and gradients are numbers, and 0 between equals."""
    logs = jnp.array([0.0, -1e-30, -1e-8, -1e-6, -1e-3, -0.5, -math.log(2), -0.7, -3.0, -40.0, -1e4], dtype)
    a, b = (x.ravel() for x in jnp.meshgrid(logs, logs))
    of = binary_divergence(name, temperature)
    values, gradient = of(a, b), jax.grad(lambda b: of(a, b).sum())(b)
    assert values.dtype == jnp.float32 and np.isfinite(values).all()
    assert np.isfinite(gradient.astype(jnp.float32)).all()
    if name != "cross_entropy":
        assert (values >= -2e-6).all()
        np.testing.assert_allclose(of(logs, logs), 0, atol=1e-6)
    if name not in ("cross_entropy", "total_variation"):  # which is pointed between equals
        np.testing.assert_allclose(jax.grad(lambda b: of(logs, b).sum())(logs).astype(jnp.float32), 0, atol=2e-2)


def test_the_gradient_of_the_cross_entropy_is_that_of_the_divergence():
    """The entropy of the teacher is no matter of the student's; and both are what float64 says by differences."""
    gradients = [
        jax.grad(lambda b, name=name: binary_divergence(name, 2.0)(LOG_P, b).sum())(LOG_Q)
        for name in ("kl", "cross_entropy")
    ]
    np.testing.assert_allclose(*gradients, rtol=1e-4)
    p, q = np.exp(np.array(LOG_P, np.float64) / 2), np.array(LOG_Q, np.float64)

    def cross_entropy(log_q):
        return -p * log_q / 2 - (1 - p) * np.log1p(-np.exp(log_q / 2))

    expected = (cross_entropy(q + 1e-5) - cross_entropy(q - 1e-5)) / 2e-5
    np.testing.assert_allclose(gradients[0], expected, rtol=2e-3, atol=1e-6)


def test_what_is_left_of_one_loses_nothing():
    """`log(1 - e^x)` in float32 to a few bits of that in float64, from a certainty to next to nothing."""
    x = -np.logspace(-6, 1.9, 200)
    expected = np.where(x > -0.69, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))
    np.testing.assert_allclose(log1mexp(jnp.asarray(x, jnp.float32)), expected, rtol=3e-6, atol=1e-30)
    assert log1mexp(jnp.float32(-EPSILON)) == pytest.approx(math.log(EPSILON), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "temperature", "message"),
    [
        ("js", 1.0, "unknown divergence 'js'; there are cross_entropy, kl"),
        ("kl", 0.0, "a positive number, or infinite, not 0.0"),
        ("kl", math.nan, "a positive number"),
        ("reverse_kl", math.inf, "'reverse_kl' has no infinite temperature; kl, total_variation have"),
    ],
)
def test_what_there_is_not_is_named(name, temperature, message):
    """A divergence that is another one than was asked for would be a result under a wrong name."""
    with pytest.raises(ValueError, match=message):
        binary_divergence(name, temperature)
