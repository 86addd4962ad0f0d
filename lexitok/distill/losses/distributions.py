"""Divergences of two distributions over symbols, from their logarithms."""

import jax.numpy as jnp
from jaxtyping import Array

DIVERGENCES = ("kl", "reverse_kl", "jensen_shannon")


def divergence(name: str, log_p: Array, log_q: Array, beta: float) -> Array:
    """Of the teacher's `p` and the student's `q` over the last axis."""
    if name == "kl":
        return _kl(log_p, log_q)
    if name == "reverse_kl":
        return _kl(log_q, log_p)
    mixture = jnp.logaddexp(log_q + jnp.log1p(-beta), log_p + jnp.log(beta))
    return beta * _kl(log_p, mixture) + (1 - beta) * _kl(log_q, mixture)


def _kl(log_p: Array, log_q: Array) -> Array:
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)
