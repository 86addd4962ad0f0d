"""Attention by cuDNN's fused kernel, through JAX: for GPUs, in bfloat16 or float16, without soft-capping."""

import jax
import jax.numpy as jnp

from lexitok.ops.attention import reference
from lexitok.ops.attention.positions import Positions


def attention(q_BxTxHxN, k_BxSxKxN, v_BxSxKxN, query: Positions, key: Positions, *, scope, window, scale, softcap):
    """As `api.attention`; the mask is the only `B·T·S` array."""
    if softcap:
        raise NotImplementedError("attention 'cudnn' has no soft-capping; use 'reference' or 'blocked'")
    if q_BxTxHxN.dtype not in (jnp.bfloat16, jnp.float16):
        raise NotImplementedError(f"attention 'cudnn' needs bfloat16 or float16, got {q_BxTxHxN.dtype}")
    seen = reference.mask(query, key, scope=scope, window=window)[:, None]
    return jax.nn.dot_product_attention(q_BxTxHxN, k_BxSxKxN, v_BxSxKxN, mask=seen, scale=scale, implementation="cudnn")
