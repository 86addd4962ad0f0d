"""The mLSTM layer of xLSTM 7B (arXiv 2503.13427, section 3; its cell: arXiv 2405.04517, section 2.3), for Bolmo."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn.parameters import normal, ones, parameter
from lexitok.nn.recurrent import Recurrent, State
from lexitok.ops.linear_recurrence import linear_recurrence

GATE_SOFTCAP_MAX = 20.0  # squares of what is read, in the norm, stay below the largest float32 for any row length


class MLSTM(Recurrent):
    """A matrix memory a head with an exponential input gate and a sigmoid forget gate, read, normed and gated.

    With soft-capped gates nothing needs to be divided by a running maximum, as the published kernels do: an input gate
    is within exp(±cap), which is 3e6 for the cap of 15, forget gates are below 1, so that `S` positions add up to no
    more than `S · exp(cap) · |k||v|`, far from the 3e38 of float32; and all terms have the same relative error. What
    is read is the same, as the maximum cancels: only the 1e-6 that the kernels add to the normaliser is left out.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        N, P = _widths(c)
        if not 0 < c.gate_softcap <= GATE_SOFTCAP_MAX:
            raise ValueError(
                f"mLSTM: gate_softcap {c.gate_softcap} is not in (0, {GATE_SOFTCAP_MAX}]: float32 holds the memory "
                "only if the exponential of the input gate is capped"
            )
        self.c = c
        forget_low, forget_high = c.forget_gate_bias
        self.wq = normal(rngs, "D H N", (c.D, c.H, N), c.D)
        self.wk = normal(rngs, "D H N", (c.D, c.H, N), c.D)
        self.wv = normal(rngs, "D H N", (c.D, c.H, P), c.D)
        self.wg = normal(rngs, "D H N", (c.D, c.H, P), c.D)
        self.input_gate = Gate(c.D, jnp.full(c.H, c.input_gate_bias, jnp.float32), rngs=rngs)
        self.forget_gate = Gate(c.D, jnp.linspace(forget_low, forget_high, c.H, dtype=jnp.float32), rngs=rngs)
        self.scale = ones("H N", c.H, P)
        self.wo = normal(rngs, "H N D", (c.H, P, c.D), c.H * P, gain=1 / math.sqrt(2 * c.L))

    @staticmethod
    def empty(c: ConfigDict, rows: int, dtype: DTypeLike) -> State:
        """State of a layer that has read nothing: the memory, whose last column is the normaliser."""
        del dtype  # the memory is float32
        N, P = _widths(c)
        return {"memory": jnp.zeros((rows, c.H, N, P + 1), jnp.float32)}

    def _run(self, x_BxSxD: Array, starts_BxS: Array, live_BxS: Array, state: State) -> tuple[Array, State]:
        cap, live_BxSx1 = self.c.gate_softcap, live_BxS[:, :, None]
        q, k, v = (self._project(x_BxSxD, w).astype(jnp.float32) for w in (self.wq, self.wk, self.wv))
        taken = jnp.where(live_BxSx1, jnp.exp(self.input_gate(x_BxSxD, cap)), 0.0)
        log_kept = jnp.where(live_BxSx1, jax.nn.log_sigmoid(self.forget_gate(x_BxSxD, cap)), 0.0)
        y, memory = linear_recurrence(
            q / math.sqrt(q.shape[-1]),
            k * taken[..., None],
            jnp.concatenate([v, jnp.ones_like(v[..., :1])], axis=-1),
            log_kept,
            starts_BxS,
            state["memory"],
        )
        y = self._norm(y[..., :-1] / jnp.maximum(jnp.abs(y[..., -1:]), 1.0))
        y = (y * jax.nn.sigmoid(self._project(x_BxSxD, self.wg).astype(jnp.float32))).astype(x_BxSxD.dtype)
        return jnp.einsum("BSHP,HPD->BSD", y, self.wo[...].astype(y.dtype)), {"memory": memory}

    def _project(self, x_BxSxD: Array, w: nnx.Param) -> Array:
        return jnp.einsum("BSD,DHN->BSHN", x_BxSxD, w[...].astype(x_BxSxD.dtype))

    def _norm(self, y_BxSxHxP: Array) -> Array:
        """Layer norm of each head, without a bias."""
        y = y_BxSxHxP - jnp.mean(y_BxSxHxP, axis=-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + self.c.norm_eps)
        return y * self.scale[...][None, None]


class Gate(nnx.Module):
    """Soft-capped activations of a gate, one a head: `weight: [D, H]`, `bias: [H]`."""

    def __init__(self, D: int, bias: Array, *, rngs: nnx.Rngs):
        self.weight = normal(rngs, "D H", (D, len(bias)), D)
        self.bias = parameter("H", bias)

    def __call__(self, x_BxSxD: Float[Array, "B S D"], cap: float) -> Float[Array, "B S H"]:
        weight = self.weight[...].astype(x_BxSxD.dtype)
        gate = jnp.einsum("BSD,DH->BSH", x_BxSxD, weight, preferred_element_type=jnp.float32)
        return cap * jnp.tanh((gate + self.bias[...][None, None]) / cap)


def _widths(c: ConfigDict) -> tuple[int, int]:
    """Widths of a head's queries and keys, and of its values.

    Raises:
      ValueError: the heads do not divide a width.
    """
    widths = {"qk_factor": round(c.qk_factor * c.D), "v_factor": round(c.v_factor * c.D)}
    for name, width in widths.items():
        if width < 1 or width % c.H:
            raise ValueError(f"mLSTM: {name}*D = {width} cannot be shared out among H={c.H} heads")
    return widths["qk_factor"] // c.H, widths["v_factor"] // c.H
