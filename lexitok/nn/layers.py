"""The small layers: a linear map, RMS norm, the gated feed-forward, rotary positions.

Parameters are float32; products take their operands in the dtype of the activations.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.nn.parameters import normal, ones, zeros


class Project(nnx.Module):
    """A linear map, `project: [D_in, D_out]`, without `bias: [D_out]` or, where it is to be `learned`, with one.

    `axes` has the letters of both widths, as `"E D"`.
    """

    def __init__(self, axes: str, d_in: int, d_out: int, *, rngs: nnx.Rngs, gain: float = 1.0, bias: str = "none"):
        if bias not in ("none", "learned"):
            raise ValueError(f"unknown bias '{bias}'; there are none, learned")
        self.project = normal(rngs, axes, (d_in, d_out), d_in, gain)
        self.bias = zeros(axes.split()[-1], d_out) if bias == "learned" else None

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        y = x @ self.project[...].astype(x.dtype)
        return y if self.bias is None else y + spread(self.bias[...], y)


class Bias(nnx.Module):
    """A learned `bias` of the given axes and shape that is added to the last axes, zero at first."""

    def __init__(self, axes: str, *shape: int):
        self.bias = zeros(axes, *shape)

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        return x + spread(self.bias[...], x)


def spread(values: Float[Array, "*N"], like: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """A parameter at all positions of an array, in its dtype: `values` are its last axes.

    It is spread, then cast: so its gradient, a sum over all positions, is added up in float32.
    """
    whole = jnp.broadcast_to(jnp.expand_dims(values, range(like.ndim - values.ndim)), like.shape)
    return whole.astype(like.dtype)


def biased(bias: Bias | None, x: Array) -> Array:
    """`x` and the bias, if there is one."""
    return x if bias is None else bias(x)


class RmsNorm(nnx.Module):
    """Division by the root mean square, then a learned scale: `x * w`, or `x * (1 + w)` where `kind` is `offset`.

    `axis` is the letter of the width.
    """

    def __init__(self, D: int, *, eps: float, kind: str = "plain", axis: str = "D"):
        if kind not in ("plain", "offset"):
            raise ValueError(f"unknown norm scale '{kind}'; there are plain, offset")
        self.eps = eps
        self.kind = kind
        self.scale = ones(axis, D) if kind == "plain" else zeros(axis, D)

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        x32 = x.astype(jnp.float32)
        x32 = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, axis=-1, keepdims=True) + self.eps)
        scale = self.scale[...] if self.kind == "plain" else 1.0 + self.scale[...]
        return (x32 * jnp.expand_dims(scale, range(x.ndim - 1))).astype(x.dtype)


class LayerNorm(nnx.Module):
    """Less the mean, over the standard deviation, then a learned scale (arXiv 1607.06450), and a `learned` bias.

    `axis` is the letter of the width.
    """

    def __init__(self, D: int, *, eps: float, bias: str = "none", axis: str = "D"):
        self.eps = eps
        self.scale = ones(axis, D)
        self.bias = zeros(axis, D) if bias == "learned" else None

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        x32 = x.astype(jnp.float32)
        x32 = x32 - jnp.mean(x32, axis=-1, keepdims=True)
        x32 = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, axis=-1, keepdims=True) + self.eps)
        x32 = x32 * jnp.expand_dims(self.scale[...], range(x.ndim - 1))
        if self.bias is not None:
            x32 = x32 + jnp.expand_dims(self.bias[...], range(x.ndim - 1))
        return x32.astype(x.dtype)


NORMS = ("rms", "layer", "none")


def make_norm(kind: str, c: ConfigDict, D: int | None = None, axis: str = "D") -> RmsNorm | LayerNorm | None:
    """A norm over `D`, by default that of the section `c`, which also has `norm_eps`, `norm_scale` and `norm_bias`.

    `axis` is the letter of that width.
    """
    width: int = c.D if D is None else D
    if kind == "rms":
        return RmsNorm(width, eps=c.norm_eps, kind=c.norm_scale, axis=axis)
    if kind == "layer":
        return LayerNorm(width, eps=c.norm_eps, bias=c.norm_bias, axis=axis)
    if kind != "none":
        raise ValueError(f"unknown norm '{kind}'; there are {', '.join(NORMS)}")
    return None


def normed(norm: RmsNorm | LayerNorm | None, x: Array) -> Array:
    """`x` through the norm, if there is one."""
    return x if norm is None else norm(x)


ACTIVATIONS = {
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
    "gelu_exact": lambda x: jax.nn.gelu(x, approximate=False),
}
FEED_FORWARDS = ("gated", "plain", "none")


class FeedForward(nnx.Module):
    """`down(activation(gate(x)) * up(x))`, or, where `c.feed_forward` is `plain`, `down(activation(up(x)))`.

    Each of the maps has a bias where `c.feed_forward_bias` is `learned`.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        if c.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation '{c.activation}'; there are {', '.join(ACTIVATIONS)}")
        self.activation = c.activation
        self.gate = normal(rngs, "D F", (c.D, c.F), c.D) if c.feed_forward == "gated" else None
        self.up = normal(rngs, "D F", (c.D, c.F), c.D)
        self.down = normal(rngs, "F D", (c.F, c.D), c.F, gain=1 / math.sqrt(2 * c.L))
        learned = c.feed_forward_bias == "learned"
        self.gate_bias = Bias("F", c.F) if learned and self.gate is not None else None
        self.up_bias = Bias("F", c.F) if learned else None
        self.down_bias = Bias("D", c.D) if learned else None

    def __call__(self, x_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        dtype = x_BxSxD.dtype
        activation, h = ACTIVATIONS[self.activation], biased(self.up_bias, x_BxSxD @ self.up[...].astype(dtype))
        if self.gate is None:
            h = activation(h)
        else:
            h = activation(biased(self.gate_bias, x_BxSxD @ self.gate[...].astype(dtype))) * h
        return biased(self.down_bias, h @ self.down[...].astype(dtype))


def rope(
    x_BxSxHxN: Float[Array, "B S H N"],
    positions_BxS: Int[Array, "B S"],
    *,
    base: float,
    scale: float = 1.0,
    llama3: tuple[float, ...] = (),
    fraction: float = 1.0,
) -> Float[Array, "B S H N"]:
    """Rotary positions (arXiv 2104.09864), halves rotated together as in Llama's checkpoints; angles in float32.

    Args:
      x_BxSxHxN: queries or keys; `N` is even.
      positions_BxS: positions.
      base: slowest wavelength over 2 pi.
      scale: positions are divided by it.
      llama3: factor, low and high frequency factor and original context of Llama 3.1's rescaling, or empty.
      fraction: of `N` that is rotated, the first of it; the rest knows no position.
    """
    N = x_BxSxHxN.shape[-1]
    half = int(N * fraction) // 2
    x_BxSxHxN, rest = x_BxSxHxN[..., : 2 * half], x_BxSxHxN[..., 2 * half :]
    frequencies = base ** (-jnp.arange(half, dtype=jnp.float32) / half) / scale
    if llama3:
        frequencies = _llama3_frequencies(frequencies, *llama3)
    angles = positions_BxS.astype(jnp.float32)[:, :, None, None] * frequencies[None, None, None, :]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    x1, x2 = jnp.split(x_BxSxHxN.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], axis=-1).astype(x_BxSxHxN.dtype)
    return turned if not rest.shape[-1] else jnp.concatenate([turned, rest], axis=-1)


def _llama3_frequencies(frequencies, factor, low, high, context):
    """Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between interpolated."""
    turns = context * frequencies / (2 * math.pi)  # full turns within the original context
    kept = jnp.clip((turns - low) / (high - low), 0.0, 1.0)
    return frequencies * (kept + (1.0 - kept) / factor)
