"""The attention layer: projections, optional QK-norm, rotary positions, and the op."""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn.layers import Bias, biased, make_norm, normed, rope
from lexitok.nn.parameters import normal
from lexitok.ops.attention import Positions, attention


class Attention(nnx.Module):
    """Grouped-query attention; `c` is a `lexitok.config.transformer` section, `scope` is `causal` or `full`."""

    def __init__(self, c: ConfigDict, *, scope: str, rngs: nnx.Rngs):
        if c.H % c.K:
            raise ValueError(f"H={c.H} query heads cannot share K={c.K} key heads: H must be a multiple of K")
        self.c = c
        self.scope = scope
        self.wq = normal(rngs, "D H N", (c.D, c.H, c.N), c.D)
        self.wk = normal(rngs, "D K N", (c.D, c.K, c.N), c.D)
        self.wv = normal(rngs, "D K N", (c.D, c.K, c.N), c.D)
        self.wo = normal(rngs, "H N D", (c.H, c.N, c.D), c.H * c.N, gain=1 / math.sqrt(2 * c.L))
        self.q_bias = Bias("H N", c.H, c.N) if c.attention_bias != "none" else None
        self.k_bias = Bias("K N", c.K, c.N) if c.attention_bias != "none" else None
        self.v_bias = Bias("K N", c.K, c.N) if c.attention_bias != "none" else None
        self.o_bias = Bias("D", c.D) if c.attention_bias == "all" else None
        # Of each head, or (`rms_all`, as in OLMo 2) of all heads together.
        kind, heads = ("rms", (c.H, c.K)) if c.qk_norm == "rms_all" else (c.qk_norm, (1, 1))
        self.q_norm = make_norm(kind, c, heads[0] * c.N, "N")
        self.k_norm = make_norm(kind, c, heads[1] * c.N, "N")

    def project(self, x_BxSxD: Float[Array, "B S D"], positions: Positions, kind: str) -> tuple[Array, Array, Array]:
        """Queries `[B, S, H, N]`, keys and values `[B, S, K, N]`, rotated to their positions if the layer's kind is."""
        c, dtype = self.c, x_BxSxD.dtype
        q = jnp.einsum("BSD,DHN->BSHN", x_BxSxD, self.wq[...].astype(dtype))
        k = jnp.einsum("BSD,DKN->BSKN", x_BxSxD, self.wk[...].astype(dtype))
        v = jnp.einsum("BSD,DKN->BSKN", x_BxSxD, self.wv[...].astype(dtype))
        q, k, v = biased(self.q_bias, q), biased(self.k_bias, k), biased(self.v_bias, v)
        q, k = self._normed(self.q_norm, q), self._normed(self.k_norm, k)
        if kind == "unrotated":
            return q, k, v
        turn: dict[str, Any] = {
            "global": {"base": c.rope_base, "scale": c.rope_scale, "llama3": tuple(c.rope_llama3)},
            "local": {"base": c.rope_base_local},
        }[kind]
        turn["fraction"] = c.rope_fraction
        return rope(q, positions.positions_BxS, **turn), rope(k, positions.positions_BxS, **turn), v

    def _normed(self, norm: Any, x_BxSxHxN: Array) -> Array:
        if self.c.qk_norm != "rms_all":
            return normed(norm, x_BxSxHxN)
        return norm(x_BxSxHxN.reshape(*x_BxSxHxN.shape[:2], -1)).reshape(x_BxSxHxN.shape)

    def mix(self, q, k, v, query: Positions, key: Positions | None, kind: str) -> Float[Array, "B T D"]:
        """Attends from `q` to `k` and `v`, and projects back; `key` is None for a row that attends to itself."""
        c = self.c
        y_BxTxHxN = attention(
            q,
            k,
            v,
            query,
            key,
            scope=self.scope,
            window=c.window if kind == "local" else 0,
            scale=c.query_scale or c.N**-0.5,
            softcap=c.softcap,
            implementation=None if c.attention == "auto" or key is not None else c.attention,
        )
        return biased(self.o_bias, jnp.einsum("BTHN,HND->BTD", y_BxTxHxN, self.wo[...].astype(q.dtype)))

    def __call__(self, x_BxSxD: Float[Array, "B S D"], positions: Positions, kind: str) -> Float[Array, "B S D"]:
        return self.mix(*self.project(x_BxSxD, positions, kind), positions, None, kind)

    def extend(
        self, x_BxTxD: Float[Array, "B T D"], positions: Positions, kind: str, cached: Any, layer: Array, cache: Any
    ):
        """As a call on new positions behind those in the cache; returns the output and all layers' keys and values."""
        q, k, v = self.project(x_BxTxD, positions, kind)
        cached = cache.write(cached, layer, (k, v))
        return self.mix(q, cached[0][layer], cached[1][layer], positions, cache.positions, kind), cached
