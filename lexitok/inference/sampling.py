"""From logits to a symbol: temperature, then top-k, then top-p; pure functions of logits and keys."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

NOT_FINITE = -1  # drawn where a row's logits hold NaN or infinity


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How symbols are drawn.

    Attributes:
      temperature: logits are divided by it; 0: always the most likely symbol.
      top_k: only the `k` most likely symbols are drawn; 0: no limit.
      top_p: only the smallest set of most likely symbols whose probability is `top_p` or more is drawn (arXiv
        1904.09751); it is formed after temperature and top-k. 1: no limit.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self):
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature is {self.temperature}; it is 0 (most likely symbol) or a positive number")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it is 0 (no limit) or a number of symbols")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it is above 0, and 1 (no limit) at most")


def kept(logits_BxV: Float[Array, "B V"], sampling: Sampling) -> Bool[Array, "B V"]:
    """Which symbols top-k and top-p leave; at least one a row. Of equal logits, those of lower ids come first."""
    order_BxV = jnp.argsort(-logits_BxV, axis=-1, stable=True)
    descending = jnp.take_along_axis(logits_BxV, order_BxV, axis=-1)
    rank_V = jnp.arange(logits_BxV.shape[-1], dtype=jnp.int32)
    if sampling.top_k:
        descending = jnp.where((rank_V < sampling.top_k)[None], descending, -jnp.inf)
    probabilities = jax.nn.softmax(descending, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    # The first always stays: rounding may put it at a `top_p` below what float32 tells from 0.
    stays = (descending > -jnp.inf) & ((before < sampling.top_p) | (rank_V == 0)[None])
    return jnp.take_along_axis(stays, jnp.argsort(order_BxV, axis=-1), axis=-1)


@functools.partial(jax.jit, static_argnames="sampling")
def draw(
    logits_BxV: Float[Array, "B V"],
    allowed_BxV: Bool[Array, "B V"],
    keys_B: Key[Array, "B"],
    sampling: Sampling,
) -> Int[Array, "B"]:
    """A symbol a row.

    Args:
      logits_BxV: float32.
      allowed_BxV: symbols that may be drawn; one a row at least.
      keys_B: a random key a row, so that what a row draws does not depend on the others.
      sampling: how.

    Returns:
      Ids; `NOT_FINITE` where the logits are not.
    """
    finite_B = jnp.isfinite(jnp.where(allowed_BxV, logits_BxV, 0.0)).all(axis=-1)
    logits = jnp.where(allowed_BxV, logits_BxV, -jnp.inf)
    if sampling.temperature == 0:
        drawn = jnp.argmax(logits, axis=-1)
    else:
        logits = logits / sampling.temperature
        if sampling.top_k or sampling.top_p < 1:
            logits = jnp.where(kept(logits, sampling), logits, -jnp.inf)
        drawn = jax.vmap(jax.random.categorical)(keys_B, logits)
    return jnp.where(finite_B, drawn.astype(jnp.int32), NOT_FINITE)


def row_keys(seed: int, rows: int) -> Key[Array, "B"]:
    """A key for each row, by the row's number alone."""
    return jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(rows, dtype=jnp.uint32))


@jax.jit
def step_keys(keys_B: Key[Array, "B"], steps_B: Int[Array, "B"]) -> Key[Array, "B"]:
    """The rows' keys for their `steps_B`-th symbols."""
    return jax.vmap(jax.random.fold_in)(keys_B, steps_B)
