"""Reductions of whole logits: the definition that every other implementation is held to."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lexitok.ops.read_out.query import Query, Reductions


def logits(h_BxSxD: Float[Array, "B S D"], w_VxD: Float[Array, "V D"], softcap: float) -> Float[Array, "B S V"]:
    """Float32 logits; the product takes its operands in the dtype of `h`."""
    return capped(
        jnp.einsum("BSD,VD->BSV", h_BxSxD, w_VxD.astype(h_BxSxD.dtype), preferred_element_type=jnp.float32), softcap
    )


def capped(logits: Float[Array, "*B"], softcap: float) -> Float[Array, "*B"]:
    """`softcap * tanh(logit / softcap)`; as they are where it is 0."""
    return softcap * jnp.tanh(logits / softcap) if softcap else logits


def read_out(h_BxSxD: Float[Array, "B S D"], w_VxD: Float[Array, "V D"], query: Query, *, softcap: float) -> Reductions:
    """As `api.read_out`; holds `B·S·V` logits."""
    return reduced(logits(h_BxSxD, w_VxD, softcap), query)


def reduced(logits_BxSxV: Float[Array, "B S V"], query: Query) -> Reductions:
    """What logits come to."""
    log_z = jax.nn.logsumexp(logits_BxSxV, axis=-1)
    nll = is_top = top = top_ids = columns = mass = None
    if query.targets_BxS is not None:
        target = jnp.take_along_axis(logits_BxSxV, query.targets_BxS[..., None], axis=-1)[..., 0]
        nll, is_top = log_z - target, target >= logits_BxSxV.max(-1)
    if query.top_k:
        top, top_ids = jax.lax.top_k(logits_BxSxV, query.top_k)
    if query.columns_BxSxC is not None:
        columns = jnp.take_along_axis(logits_BxSxV, query.columns_BxSxC, axis=-1)
    if query.group_of_V is not None:
        mass = grouped_logsumexp(logits_BxSxV, query.group_of_V, query.groups) - log_z[..., None]
    return Reductions(nll, log_z, is_top, top, top_ids, columns, mass)


def grouped_logsumexp(
    logits_BxSxV: Float[Array, "B S V"], group_of_V: Int[Array, "V"], groups: int
) -> Float[Array, "B S G"]:
    """The log of the sum of the exponentials of each group's logits."""
    by_symbol = jnp.moveaxis(logits_BxSxV, -1, 0)
    top = jax.lax.stop_gradient(jax.ops.segment_max(by_symbol, group_of_V, groups))
    safe = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jax.ops.segment_sum(jnp.exp(by_symbol - safe[group_of_V]), group_of_V, groups)
    there = total > 0.0
    out = jnp.where(there, jnp.log(jnp.where(there, total, 1.0)) + safe, -jnp.inf)
    return jnp.moveaxis(out, 0, -1)
