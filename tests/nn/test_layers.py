"""The small layers do what their formulas say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lexitok.config import transformer
from lexitok.nn.layers import FeedForward, LayerNorm, Project, RmsNorm, make_norm, normed, rope
from lexitok.nn.parameters import normal, parameter


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


def test_rope_by_hand():
    """Halves of a head are rotated together: a few lines of numpy, for all of a head and for a fraction of it."""
    x = np.random.default_rng(0).normal(size=(1, 5, 2, 12)).astype(np.float32)
    positions = np.array([[0, 1, 2, 7, 30]])
    for width, fraction in ((12, 1.0), (6, 0.5), (8, 0.75)):
        turned, rest = x[..., :width], x[..., width:]
        angle = positions[:, :, None, None] * 50.0 ** (-np.arange(width // 2) / (width // 2))
        pairs = turned[..., : width // 2] + 1j * turned[..., width // 2 :]
        pairs = pairs * np.exp(1j * angle)
        expected = np.concatenate([pairs.real, pairs.imag, rest], axis=-1)
        found = rope(jnp.asarray(x), jnp.asarray(positions), base=50.0, fraction=fraction)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "offset"])
def test_norm_gives_unit_mean_square(kind):
    """At initialisation both kinds of scale are the identity."""
    norm = RmsNorm(16, eps=1e-6, kind=kind)
    y = norm(7.0 * jax.random.normal(jax.random.key(0), (3, 5, 16)))
    np.testing.assert_allclose(jnp.mean(y * y, -1), 1.0, rtol=1e-4)


def test_layer_norm_by_hand():
    """Less the mean, over the deviation, times a scale that starts as 1."""
    norm = LayerNorm(16, eps=1e-3)
    x = np.random.default_rng(0).normal(3.0, 5.0, (3, 5, 16)).astype(np.float32)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(norm(jnp.asarray(x)), expected, atol=1e-5)
    norm.scale = parameter("D", norm.scale[...] * 2.0)
    np.testing.assert_allclose(norm(jnp.asarray(x)), 2 * expected, atol=1e-5)


@pytest.mark.parametrize("norm", [RmsNorm(16, eps=1e-6), LayerNorm(16, eps=1e-6)])
def test_norms_are_float32_inside(norm):
    """In bfloat16, a sum of squares would lose what it is about; the result is in the dtype of the input."""
    x = (100.0 + jax.random.normal(jax.random.key(0), (4, 16))).astype(jnp.bfloat16)
    y = norm(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), norm(x.astype(jnp.float32)), rtol=1e-2, atol=1e-2)


def test_norms_by_name():
    """`none` is no norm at all, and what it is given goes through unchanged."""
    c = transformer(D=8, norm_scale="offset")
    x = jnp.ones((2, 3, 8))
    assert make_norm("none", c) is None and normed(None, x) is x
    assert make_norm("rms", c).kind == "offset"
    assert make_norm("layer", c, 4).scale.shape == (4,)
    with pytest.raises(ValueError, match="'group'; there are rms, layer, none"):
        make_norm("group", c)


@pytest.mark.parametrize("kind", ["gated", "plain"])
def test_feed_forward_by_hand(kind):
    """With a gate and without, against numpy."""
    c = transformer(D=8, F=20, L=1, feed_forward=kind, activation="silu")
    layer = FeedForward(c, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)
    up, down = np.asarray(layer.up[...]), np.asarray(layer.down[...])

    def silu(x):
        return x / (1 + np.exp(-x))

    wide = silu(x @ up) if kind == "plain" else silu(x @ np.asarray(layer.gate[...])) * (x @ up)
    np.testing.assert_allclose(layer(jnp.asarray(x)), wide @ down, atol=1e-5)


@pytest.mark.parametrize("bias", ["none", "learned"])
def test_linear_map(bias):
    """With a bias that starts as zero, or with none; there is no third."""
    layer = Project("D E", 4, 6, rngs=nnx.Rngs(0), bias=bias)
    x = jnp.ones((2, 4))
    np.testing.assert_allclose(layer(x), x @ layer.project[...], atol=1e-6)
    assert (layer.bias is None) == (bias == "none")
    if bias == "learned":
        layer.bias = parameter("E", jnp.arange(6.0))
        np.testing.assert_allclose(
            layer(x) - x @ layer.project[...], jnp.tile(jnp.arange(6.0)[None], (2, 1)), atol=1e-6
        )
    with pytest.raises(ValueError, match="'yes'"):
        Project("D E", 4, 6, rngs=nnx.Rngs(0), bias="yes")


def test_initial_scale():
    """Weights have the deviation that keeps activations at unit size, in spite of the cut tails."""
    w = normal(nnx.Rngs(0), "D D", (256, 256), 256)
    np.testing.assert_allclose(jnp.std(w[...]), 1 / 16, rtol=0.02)
