"""Logits of vectors that are made a few symbols at a time (their reductions: `test_read_out.py`)."""

import jax
import numpy as np

from lexitok.ops.read_out.blocked import block_size, logits_in_blocks

B, S, D, V = 2, 7, 6, 11
KEYS = jax.random.split(jax.random.key(0), 3)
H = jax.random.normal(KEYS[0], (B, S, D))
W = jax.random.normal(KEYS[1], (B, V, D))  # each row has vectors of its own


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
