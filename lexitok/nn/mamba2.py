"""The Mamba-2 layer (arXiv 2405.21060, section 7.1), as H-Net's encoders and decoders have it."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.nn.parameters import normal, ones, parameter
from lexitok.nn.recurrent import Recurrent, State
from lexitok.ops.linear_recurrence import linear_recurrence


class ShortConv(nnx.Module):
    """A causal convolution of each channel by itself.

    Attributes:
      taps: `[C, H, N]`, the last for the position itself.
      bias: `[H, N]`.
    """

    def __init__(self, C: int, H: int, N: int, *, rngs: nnx.Rngs):
        bound = 1 / math.sqrt(C)
        self.taps = parameter("C H N", jax.random.uniform(rngs.params(), (C, H, N), jnp.float32, -bound, bound))
        self.bias = parameter("H N", jax.random.uniform(rngs.params(), (H, N), jnp.float32, -bound, bound))

    def __call__(
        self, x_BxSxMxN: Float[Array, "B S M N"], history_BxCxMxN: Float[Array, "B C M N"], runs_BxS: Int[Array, "B S"]
    ) -> Float[Array, "B S M N"]:
        """The convolution, float32; positions of another run are not seen, the history is of run 0."""
        S, C = x_BxSxMxN.shape[1], history_BxCxMxN.shape[1]
        x = jnp.concatenate([history_BxCxMxN.astype(x_BxSxMxN.dtype), x_BxSxMxN], axis=1).astype(jnp.float32)
        runs = jnp.pad(runs_BxS, ((0, 0), (C, 0)))
        y = jnp.zeros(x_BxSxMxN.shape, jnp.float32) + self.bias[...][None, None]
        for i in range(C + 1):
            same = runs[:, i : i + S] == runs_BxS
            y += jnp.where(same[:, :, None, None], x[:, i : i + S] * self.taps[...][i][None, None], 0.0)
        return y


class Mamba2(Recurrent):
    """A state space layer with a scalar decay a head, its inputs convolved, its outputs gated and normed.

    Heads are as wide as `c.N` and as many as fill `c.expand * c.D`; the memory of each is `c.state` times as wide. In
    the terms of the paper `wq` makes C, `wk` B, `wv` x, `wg` z and `wdt` Δ: the rows of its `in_proj` are those of
    `wg`, `wv`, `wk`, `wq`, `wdt`, and the channels of its convolution those of `conv_v`, `conv_k`, `conv_q`.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        H = _heads(c)
        self.c = c
        self.wq = normal(rngs, "D K N", (c.D, c.groups, c.state), c.D)
        self.wk = normal(rngs, "D K N", (c.D, c.groups, c.state), c.D)
        self.wv = normal(rngs, "D H N", (c.D, H, c.N), c.D)
        self.wg = normal(rngs, "D H N", (c.D, H, c.N), c.D)
        self.wdt = normal(rngs, "D H", (c.D, H), c.D)
        self.conv_q = ShortConv(c.conv, c.groups, c.state, rngs=rngs)
        self.conv_k = ShortConv(c.conv, c.groups, c.state, rngs=rngs)
        self.conv_v = ShortConv(c.conv, H, c.N, rngs=rngs)
        self.dt_bias = parameter("H", _dt_bias(rngs.params(), H))
        self.log_rate = parameter("H", jnp.log(jax.random.uniform(rngs.params(), (H,), jnp.float32, 1.0, 16.0)))
        self.skip = ones("H", H)
        self.scale = ones("H N", H, c.N)
        self.wo = normal(rngs, "H N D", (H, c.N, c.D), H * c.N, gain=1 / math.sqrt(2 * c.L))

    @staticmethod
    def empty(c: ConfigDict, rows: int, dtype: DTypeLike) -> State:
        """State of a layer that has read nothing: the memory, and the last inputs of the convolutions."""
        H = _heads(c)
        return {
            "memory": jnp.zeros((rows, H, c.state, c.N), jnp.float32),
            "q": jnp.zeros((rows, c.conv - 1, c.groups, c.state), dtype),
            "k": jnp.zeros((rows, c.conv - 1, c.groups, c.state), dtype),
            "v": jnp.zeros((rows, c.conv - 1, H, c.N), dtype),
        }

    def _run(self, x_BxSxD: Array, starts_BxS: Array, live_BxS: Array, state: State) -> tuple[Array, State]:
        runs_BxS = jnp.cumsum(starts_BxS.astype(jnp.int32), axis=1)
        inputs = {name: self._project(x_BxSxD, w) for name, w in (("q", self.wq), ("k", self.wk), ("v", self.wv))}
        convs = {"q": self.conv_q, "k": self.conv_k, "v": self.conv_v}
        mixed = {name: jax.nn.silu(conv(inputs[name], state[name], runs_BxS)) for name, conv in convs.items()}
        dt = jnp.einsum("BSD,DH->BSH", x_BxSxD, self.wdt[...].astype(x_BxSxD.dtype), preferred_element_type=jnp.float32)
        dt = jnp.where(live_BxS[:, :, None], jax.nn.softplus(dt + self.dt_bias[...][None, None]), 0.0)
        y, memory = linear_recurrence(
            mixed["q"],
            mixed["k"],
            mixed["v"] * dt[..., None],
            -dt * jnp.exp(self.log_rate[...])[None, None],
            starts_BxS,
            state["memory"],
        )
        y = self._gate(x_BxSxD, y + self.skip[...][None, None, :, None] * mixed["v"])
        y = jnp.einsum("BSHN,HND->BSD", y, self.wo[...].astype(y.dtype))
        return y, {"memory": memory, **{name: _shift(state[name], inputs[name], live_BxS) for name in inputs}}

    def _project(self, x_BxSxD: Array, w: nnx.Param) -> Array:
        return jnp.einsum("BSD,DMN->BSMN", x_BxSxD, w[...].astype(x_BxSxD.dtype))

    def _gate(self, x_BxSxD: Array, y_BxSxHxN: Array) -> Array:
        """Gated, then divided by the root mean square over the heads that share a group."""
        c = self.c
        y = y_BxSxHxN * jax.nn.silu(self._project(x_BxSxD, self.wg).astype(jnp.float32))
        y_BxSxGxI = y.reshape(*y.shape[:2], c.groups, -1)
        size = jax.lax.rsqrt(jnp.mean(y_BxSxGxI * y_BxSxGxI, axis=-1, keepdims=True) + c.norm_eps)
        return ((y_BxSxGxI * size).reshape(y.shape) * self.scale[...][None, None]).astype(x_BxSxD.dtype)


def _heads(c: ConfigDict) -> int:
    """Heads of width `N` that fill the expanded width.

    Raises:
      ValueError: they do not fill it, or cannot be shared out among the groups.
    """
    H, rest = divmod(c.expand * c.D, c.N)
    if rest:
        raise ValueError(f"Mamba-2: heads of width N={c.N} do not fill expand*D={c.expand * c.D}; N must divide it")
    if H % c.groups:
        raise ValueError(f"Mamba-2: {H} heads cannot share groups={c.groups}: groups must divide expand*D/N")
    return H


def _dt_bias(key: Array, H: int) -> Array:
    """What softplus makes a step size of, with step sizes log-uniform in [0.001, 0.1]."""
    dt = jnp.exp(jax.random.uniform(key, (H,), jnp.float32, math.log(0.001), math.log(0.1)))
    return dt + jnp.log(-jnp.expm1(-dt))


def _shift(history_BxCxMxN: Array, new_BxTxMxN: Array, live_BxT: Array) -> Array:
    """The last `C` inputs after the live ones of the new have come behind the history."""
    C = history_BxCxMxN.shape[1]
    x = jnp.concatenate([history_BxCxMxN, new_BxTxMxN.astype(history_BxCxMxN.dtype)], axis=1)
    at_BxC = jnp.sum(live_BxT, axis=1, dtype=jnp.int32)[:, None] + jnp.arange(C, dtype=jnp.int32)[None]
    return jnp.take_along_axis(x, at_BxC[:, :, None, None], axis=1)
