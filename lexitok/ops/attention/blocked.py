"""Attention within a window, in blocks of the window's length: `S·window` scores instead of `S²`.

Rows are cut into blocks as long as the window. A query then sees nothing beyond its own block and the one before it
(and the one after it, if the scope is full). Rows must be self-attention over packed pieces: positions of one segment
are consecutive and ascending.
"""

import jax.numpy as jnp

from lexitok.ops.attention import reference
from lexitok.ops.attention.positions import Positions

_OUTSIDE = -(2**30)  # a segment that no query is in


def attention(q_BxSxHxN, k_BxSxKxN, v_BxSxKxN, query: Positions, key: Positions, *, scope, window, scale, softcap):
    """As `api.attention`, for queries and keys at the same positions."""
    B, S, H, N = q_BxSxHxN.shape
    C = window
    blocks = -(-S // C)
    neighbours = (-1, 0) if scope == "causal" else (-1, 0, 1)

    def cut(x, fill=0):  # [B, S, ...] -> [B, blocks, C, ...]
        padding = [(0, 0), (0, blocks * C - S)] + [(0, 0)] * (x.ndim - 2)
        return jnp.pad(x, padding, constant_values=fill).reshape(B, blocks, C, *x.shape[2:])

    def around(x, fill=0):  # [B, S, ...] -> [B * blocks, len(neighbours) * C, ...]
        cut_x = cut(x, fill)
        edges = [(0, 0), (1, 1)] + [(0, 0)] * (cut_x.ndim - 2)
        padded = jnp.pad(cut_x, edges, constant_values=fill)
        shifted = [padded[:, 1 + n : 1 + n + blocks] for n in neighbours]
        return jnp.concatenate(shifted, axis=2).reshape(B * blocks, len(neighbours) * C, *x.shape[2:])

    def own(x, fill=0):  # [B, S, ...] -> [B * blocks, C, ...]
        return cut(x, fill).reshape(B * blocks, C, *x.shape[2:])

    out = reference.attention(
        own(q_BxSxHxN),
        around(k_BxSxKxN),
        around(v_BxSxKxN),
        Positions(own(query.segments_BxS, _OUTSIDE), own(query.positions_BxS)),
        Positions(around(key.segments_BxS, _OUTSIDE), around(key.positions_BxS)),
        scope=scope,
        window=window,
        scale=scale,
        softcap=softcap,
    )
    return out.reshape(B, blocks * C, H, N)[:, :S]
