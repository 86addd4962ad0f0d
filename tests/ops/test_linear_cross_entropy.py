"""Every implementation of the cross-entropy is held to the reference, and the reference to float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.ops.linear_cross_entropy import linear_cross_entropy

B, S, D, V = 2, 37, 16, 50


def inputs():
    h = jax.random.normal(jax.random.key(0), (B, S, D))
    w = jax.random.normal(jax.random.key(1), (V, D))
    return h, w, jax.random.randint(jax.random.key(2), (B, S), 0, V)


@pytest.mark.parametrize("softcap", [0.0, 3.0])
def test_chunked_equals_reference(softcap):
    """Holding fewer logits at a time changes neither the scores nor the gradients of either operand."""
    h, w, targets = inputs()

    def run(implementation, h, w):
        scores = linear_cross_entropy(h, w, targets, softcap=softcap, chunk=8, implementation=implementation)
        return (scores.nll_BxS + 0.1 * jnp.square(scores.log_z_BxS)).sum(), scores

    grad = jax.value_and_grad(run, argnums=(1, 2), has_aux=True)
    (expected, scores), grads = grad("reference", h, w)
    (actual, chunked_scores), chunked_grads = grad("chunked", h, w)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    for a, b in zip((*chunked_scores, *chunked_grads), (*scores, *grads), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_reference_equals_float64():
    """The definition is right: nats, normaliser and whether the target is the largest."""
    h, w, targets = inputs()
    scores = linear_cross_entropy(h, w, targets, implementation="reference")
    logits = np.asarray(h, np.float64) @ np.asarray(w, np.float64).T
    log_z = np.log(np.exp(logits).sum(-1))
    target = np.take_along_axis(logits, np.asarray(targets)[..., None], -1)[..., 0]
    np.testing.assert_allclose(scores.nll_BxS, log_z - target, atol=1e-5)
    np.testing.assert_allclose(scores.log_z_BxS, log_z, atol=1e-5)
    np.testing.assert_array_equal(scores.is_top_BxS, target == logits.max(-1))


def test_chunked_holds_no_whole_logits():
    """What the op is for: no buffer of B*S*V floats in forward and backward pass together."""
    h = jax.ShapeDtypeStruct((1, 512, 8), jnp.float32)
    w = jax.ShapeDtypeStruct((4096, 8), jnp.float32)
    targets = jax.ShapeDtypeStruct((1, 512), jnp.int32)

    def loss(h, w, targets):
        return linear_cross_entropy(h, w, targets, chunk=16, implementation="chunked").nll_BxS.sum()

    memory = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(h, w, targets).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 512 * 4096 * 4 / 4


def test_unknown_implementation_is_named():
    """A typing error in a config must not silently choose something else."""
    with pytest.raises(ValueError, match="'fused'.*reference, chunked"):
        linear_cross_entropy(*inputs(), implementation="fused")
