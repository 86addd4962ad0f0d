"""Attention with an explicit mask: the definition that every other implementation is held to."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lexitok.ops.attention.positions import Positions

_NEVER = -1e30  # finite, so that a query that sees nothing gets a uniform mixture and no NaN


def mask(query: Positions, key: Positions, *, scope: str, window: int) -> Bool[Array, "B T S"]:
    """Which keys each query sees: those of its segment, not after it if `scope` is causal, and less than `window` away.

    Args:
      query, key: positions of the queries and of the keys.
      scope: `causal` or `full`.
      window: how many positions are seen to one side, the own one included; 0: no limit.
    """
    distance_BxTxS = query.positions_BxS[:, :, None] - key.positions_BxS[:, None, :]
    seen = query.segments_BxS[:, :, None] == key.segments_BxS[:, None, :]
    if scope == "causal":
        seen &= distance_BxTxS >= 0
    if window:
        seen &= jnp.abs(distance_BxTxS) < window
    return seen


def attend(
    q_BxTxHxN: Float[Array, "B T H N"],
    k_BxSxKxN: Float[Array, "B S K N"],
    v_BxSxKxN: Float[Array, "B S K N"],
    seen_BxTxS: Bool[Array, "B T S"],
    *,
    scale: float,
    softcap: float,
) -> Float[Array, "B T H N"]:
    """Softmax attention with grouped queries; scores and softmax in float32, the output in the dtype of `v`."""
    B, T, H, N = q_BxTxHxN.shape
    K = k_BxSxKxN.shape[2]
    q_BxTxKxGxN = q_BxTxHxN.reshape(B, T, K, H // K, N)
    scores = jnp.einsum("BTKGN,BSKN->BKGTS", q_BxTxKxGxN, k_BxSxKxN, preferred_element_type=jnp.float32) * scale
    if softcap:
        scores = softcap * jnp.tanh(scores / softcap)
    scores = jnp.where(seen_BxTxS[:, None, None], scores, _NEVER)
    weights = jax.nn.softmax(scores, axis=-1).astype(v_BxSxKxN.dtype)
    return jnp.einsum("BKGTS,BSKN->BTKGN", weights, v_BxSxKxN).reshape(B, T, H, N)


def attention(q_BxTxHxN, k_BxSxKxN, v_BxSxKxN, query: Positions, key: Positions, *, scope, window, scale, softcap):
    """As `api.attention`; holds `B·H·T·S` scores."""
    seen = mask(query, key, scope=scope, window=window)
    return attend(q_BxTxHxN, k_BxSxKxN, v_BxSxKxN, seen, scale=scale, softcap=softcap)
