"""The small layers do what their formulas say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lexitok.nn.layers import RmsNorm, normal, rope


def test_rope_depends_on_distance_only():
    """Rotary positions are relative: shifting queries and keys together changes no score."""
    q, k = (jax.random.normal(jax.random.key(i), (1, 6, 2, 8)) for i in range(2))
    positions = jnp.arange(6)[None]

    def scores(shift):
        rotated = [rope(x, positions + shift, base=100.0) for x in (q, k)]
        return jnp.einsum("BTHN,BSHN->BHTS", *rotated)

    np.testing.assert_allclose(scores(0), scores(1000), atol=1e-3)
    assert np.abs(scores(0) - jnp.einsum("BTHN,BSHN->BHTS", q, k)).max() > 0.1


def test_rope_of_position_zero_is_the_identity_and_scale_divides_positions():
    """The two conventions that checkpoints rely on."""
    x = jax.random.normal(jax.random.key(0), (1, 3, 1, 8))
    np.testing.assert_array_equal(rope(x, jnp.zeros((1, 3), jnp.int32), base=10.0), x)
    positions = jnp.array([[0, 8, 16]])
    np.testing.assert_allclose(rope(x, positions, base=10.0, scale=8.0), rope(x, positions // 8, base=10.0), atol=1e-6)


def test_llama3_frequencies():
    """Llama 3.1 keeps fast frequencies and slows the slowest by its factor (8, 1, 4, context 8192)."""
    x = jnp.zeros((1, 1, 1, 128)).at[..., 0].set(1.0).at[..., 63].set(1.0)
    plain = rope(x, jnp.array([[5]]), base=500_000.0)
    scaled = rope(x, jnp.array([[5]]), base=500_000.0, llama3=(8.0, 1.0, 4.0, 8192.0))
    np.testing.assert_allclose(scaled[..., 64], plain[..., 64], atol=1e-6)  # fastest: sin(5)
    slowest = 5 * 500_000.0 ** (-63 / 64)
    np.testing.assert_allclose(scaled[0, 0, 0, 127], np.sin(slowest / 8), rtol=1e-4)


@pytest.mark.parametrize("kind", ["plain", "offset"])
def test_norm_gives_unit_mean_square(kind):
    """At initialisation both kinds of scale are the identity."""
    norm = RmsNorm(16, eps=1e-6, kind=kind)
    y = norm(7.0 * jax.random.normal(jax.random.key(0), (3, 5, 16)))
    np.testing.assert_allclose(jnp.mean(y * y, -1), 1.0, rtol=1e-4)


def test_initial_scale():
    """Weights have the deviation that keeps activations at unit size, in spite of the cut tails."""
    w = normal(nnx.Rngs(0), (256, 256), 256)
    np.testing.assert_allclose(jnp.std(w[...]), 1 / 16, rtol=0.02)
