"""Attention a stretch of queries at a time: `CHUNK·S` scores instead of `S²`; the backward pass makes them again."""

import functools

import jax
import jax.numpy as jnp

from lexitok.ops.attention import reference
from lexitok.ops.attention.positions import Positions

CHUNK = 512  # queries whose scores are held at once


def attention(q_BxTxHxN, k_BxSxKxN, v_BxSxKxN, query: Positions, key: Positions, *, scope, window, scale, softcap):
    """As `api.attention`."""
    B, T, H, N = q_BxTxHxN.shape
    chunks = -(-T // CHUNK)

    def cut(x):  # [B, T, ...] -> [chunks, B, CHUNK, ...]
        padding = [(0, 0), (0, chunks * CHUNK - T)] + [(0, 0)] * (x.ndim - 2)
        return jnp.moveaxis(jnp.pad(x, padding).reshape(B, chunks, CHUNK, *x.shape[2:]), 1, 0)

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.nothing_saveable)
    def one(q, segments, positions, k, v):
        at = Positions(segments, positions)
        return reference.attention(q, k, v, at, key, scope=scope, window=window, scale=scale, softcap=softcap)

    def step(_, chunk):
        return None, one(*chunk, k_BxSxKxN, v_BxSxKxN)

    _, out = jax.lax.scan(step, None, (cut(q_BxTxHxN), cut(query.segments_BxS), cut(query.positions_BxS)))
    return jnp.moveaxis(out, 0, 1).reshape(B, chunks * CHUNK, H, N)[:, :T]
