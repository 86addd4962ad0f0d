"""A loss whose vectors are never held together is the loss of the whole matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.ops.linear_cross_entropy import reference
from lexitok.ops.linear_cross_entropy.blocked import block_size, blocked_cross_entropy, logits_in_blocks

B, S, D, V = 2, 7, 6, 11
KEYS = jax.random.split(jax.random.key(0), 3)
H = jax.random.normal(KEYS[0], (B, S, D))
W = jax.random.normal(KEYS[1], (B, V, D))  # each row has vectors of its own
TARGETS = jax.random.randint(KEYS[2], (B, S), 0, V)


def whole(h, w, softcap):
    scores = [
        reference.linear_cross_entropy(h[b : b + 1], w[b], TARGETS[b : b + 1], softcap=softcap, chunk=0)
        for b in range(B)
    ]
    return jax.tree.map(lambda *rows: jnp.concatenate(rows), *scores)


def blocked(h, w, softcap, block):
    return blocked_cross_entropy(h, lambda ids: w[:, ids], V, TARGETS, block=block, softcap=softcap)


@pytest.mark.parametrize("block", [1, 4, 11])
@pytest.mark.parametrize("softcap", [0.0, 3.0])
def test_scores_and_gradients_are_those_of_whole_logits(block, softcap):
    """The last block is only partly symbols, and what fills it up must not count; gradients reach vectors too."""
    ours, theirs = blocked(H, W, softcap, block), whole(H, W, softcap)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)
    weights = jnp.arange(1.0, B * S + 1).reshape(B, S)

    def loss(function):
        return jax.grad(lambda h, w: jnp.sum(weights * function(h, w).nll_BxS), argnums=(0, 1))(H, W)

    for a, b in zip(
        loss(lambda h, w: blocked(h, w, softcap, block)), loss(lambda h, w: whole(h, w, softcap)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)


def test_logits_are_in_the_order_of_symbols():
    """Blocks are put together again, without what filled up the last one."""
    np.testing.assert_allclose(
        np.asarray(logits_in_blocks(H, lambda ids: W[:, ids], V, 4)),
        np.einsum("BSD,BVD->BSV", H, W),
        rtol=1e-5,
        atol=1e-6,
    )


def test_blocks_stay_within_their_budget():
    """Long rows and wide vectors must both make blocks smaller."""
    assert block_size(1024, 64, 1 << 20) == block_size(64, 1024, 1 << 20) == 1024
    assert block_size(16, 16, 100) == 100 and block_size(1 << 21, 4, 100) == 1
