"""Divergences of two yes-no questions, from the logarithms of their probabilities, in float32.

ALM (arXiv 2503.20083) asks of a stretch of text whether it is the one that comes next: the teacher says so with
probability `p`, the student with `q`, and both numbers may be as small as the text is long. With a temperature they are
`p ** (1 / T)` and `q ** (1 / T)`. What is defined for an infinite temperature is the limit of `T` times the divergence.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

# Logarithms are taken to be this much smaller: that of `1 - p` is a number where p is 1.
EPSILON = 1e-6

Divergence = Callable[[Float[Array, "*n"], Float[Array, "*n"]], Float[Array, "*n"]]


def log1mexp(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """`log(1 - exp(x))` of `x < 0`, by whichever of two forms loses nothing (M. Mächler, "Accurately computing
    log(1 - exp(-|a|))", 2012)."""
    near = x > -math.log(2.0)
    # Each form only sees what it is for, so that the other's gradient is a number.
    small = jnp.log(-jnp.expm1(jnp.where(near, x, -0.1)))
    return jnp.where(near, small, jnp.log1p(-jnp.exp(jnp.where(near, -1.0, x))))


def cross_entropy(a: Array, b: Array) -> Array:
    """`-p log q - (1 - p) log(1 - q)`: the gradient is that of `kl`."""
    return -jnp.exp(a) * b + jnp.expm1(a) * log1mexp(b)


def kl(a: Array, b: Array) -> Array:
    """`KL(p ‖ q)`."""
    return jnp.exp(a) * (a - b) - jnp.expm1(a) * (log1mexp(a) - log1mexp(b))


def reverse_kl(a: Array, b: Array) -> Array:
    """`KL(q ‖ p)`."""
    return kl(b, a)


def total_variation(a: Array, b: Array) -> Array:
    """`|p - q|`."""
    return jnp.abs(jnp.exp(a) - jnp.exp(b))


def kl_at_infinity(a: Array, b: Array) -> Array:
    """The limit of `T * kl` of `log p / T` and `log q / T`."""
    return (a - b) + a * (jnp.log(-b) - jnp.log(-a))


def log_ratio(a: Array, b: Array) -> Array:
    """`|log p - log q|`: the limit of `T * total_variation`."""
    return jnp.abs(a - b)


def squared_log_ratio(a: Array, b: Array) -> Array:
    """`(log p - log q)² / 2`, an estimate of a divergence from one sample."""
    return jnp.square(a - b) / 2


DIVERGENCES: dict[str, Divergence] = {
    "cross_entropy": cross_entropy,
    "kl": kl,
    "reverse_kl": reverse_kl,
    "total_variation": total_variation,
    "squared_log_ratio": squared_log_ratio,
}
AT_INFINITY: dict[str, Divergence] = {"kl": kl_at_infinity, "total_variation": log_ratio}


def binary_divergence(name: str, temperature: float) -> Divergence:
    """The divergence of `log p` and `log q`, both at most 0, teacher first.

    Args:
      name: one of `DIVERGENCES`.
      temperature: above 0; may be infinite for those of `AT_INFINITY`.

    Raises:
      ValueError: an unknown name, a temperature that is not positive, or infinite where there is no limit.
    """
    if name not in DIVERGENCES:
        raise ValueError(f"unknown divergence '{name}'; there are {', '.join(DIVERGENCES)}")
    if not temperature > 0:
        raise ValueError(f"a temperature is a positive number, or infinite, not {temperature}")
    infinite = math.isinf(temperature)
    if infinite and name not in AT_INFINITY:
        raise ValueError(f"divergence '{name}' has no infinite temperature; {', '.join(AT_INFINITY)} have")
    of, scale = (AT_INFINITY[name], 1.0) if infinite else (DIVERGENCES[name], temperature)

    def divergence(log_p: Array, log_q: Array) -> Array:
        a, b = (jnp.minimum(x.astype(jnp.float32), 0.0) / scale - EPSILON for x in (log_p, log_q))
        return of(a, b)

    return divergence
