"""Reductions a few symbols at a time, for vectors that are made when they are needed and never held together."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lexitok.ops.read_out import reference
from lexitok.ops.read_out.query import Query, Reductions

VectorsOf = Callable[[Int[Array, "C"]], Float[Array, "B C D"]]


def block_size(S: int, D: int, V: int, *, numbers: int = 1 << 20) -> int:
    """Symbols of a block: neither its logits nor its vectors are more than so many numbers a row; at least 1."""
    return max(1, min(V, numbers // max(S, D)))


def logits_in_blocks(h_BxSxD: Float[Array, "B S D"], vectors: VectorsOf, V: int, block: int) -> Float[Array, "B S V"]:
    """Float32 logits of every symbol, whose vectors are made `block` at a time.

    Args:
      h_BxSxD: hidden vectors.
      vectors: those of some symbols, for each row.
      V: symbols.
      block: of them that are looked at together.
    """
    blocks = jax.lax.map(lambda ids: _logits(h_BxSxD, vectors(jnp.minimum(ids, V - 1))), _blocks(V, block))
    return jnp.moveaxis(blocks, 0, 2).reshape(*h_BxSxD.shape[:2], -1)[..., :V]


def read_out(
    h_BxSxD: Float[Array, "B S D"],
    vectors: VectorsOf,
    V: int,
    query: Query,
    *,
    block: int,
    softcap: float = 0.0,
    used: Int[Array, ""] | None = None,
) -> Reductions:
    """As `api.read_out`, of logits `h · vectors(symbol)`.

    A block's logits and vectors are all that is held, on the way back too, where they are made again: `B·S·C` and
    `B·C·D` numbers for blocks of `C` symbols. What `vectors` depends on gets its gradients.

    Args:
      h_BxSxD, vectors, V, block: as of `logits_in_blocks`.
      query: what is asked; its `chunk` has no meaning.
      softcap: logits become `softcap * tanh(logit / softcap)`; 0: none.
      used: symbols from this one on are none: their logits are minus infinity. None: all `V` are used.
    """
    end = V if used is None else used

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.nothing_saveable)
    def one(h_BxSxD, ids_C):
        logits = reference.capped(_logits(h_BxSxD, vectors(jnp.minimum(ids_C, V - 1))), softcap)
        return _of_block(jnp.where((ids_C < end)[None, None, :], logits, -jnp.inf), ids_C, query)

    def add(sums, ids_C):
        return together(sums, one(h_BxSxD, ids_C), query), None

    blocks = _blocks(V, block)
    found, _ = jax.lax.scan(add, one(h_BxSxD, blocks[0]), blocks[1:])
    log_z, largest, target = found["log_z"], found["largest"], found.get("target")
    return Reductions(
        nll_BxS=None if target is None else log_z - target,
        log_z_BxS=log_z,
        is_top_BxS=None if target is None else target >= largest,
        top_BxSxk=found["top"] if query.top_k else None,
        top_ids_BxSxk=found["top_ids"] if query.top_k else None,
        columns_BxSxC=found.get("columns"),
        log_mass_BxSxG=found["mass"] - log_z[..., None] if "mass" in found else None,
    )


def _of_block(logits_BxSxC: Array, ids_C: Array, query: Query) -> dict[str, Array]:
    """What a block of symbols adds."""

    def picked(ids: Array) -> Array:
        at = ids - ids_C[0]
        own = jnp.take_along_axis(logits_BxSxC, jnp.clip(at, 0, len(ids_C) - 1), axis=-1)
        return jnp.where((at >= 0) & (at < len(ids_C)), own, 0.0)

    out = {"log_z": jax.nn.logsumexp(logits_BxSxC, axis=-1), "largest": jax.lax.stop_gradient(logits_BxSxC.max(-1))}
    if query.targets_BxS is not None:
        out["target"] = picked(query.targets_BxS[..., None])[..., 0]
    if query.columns_BxSxC is not None:
        out["columns"] = picked(query.columns_BxSxC)
    if query.top_k:
        top, at = jax.lax.top_k(logits_BxSxC, min(query.top_k, len(ids_C)))
        short = [(0, 0), (0, 0), (0, query.top_k - top.shape[-1])]
        out["top"] = jnp.pad(top, short, constant_values=-jnp.inf)
        out["top_ids"] = jnp.pad(ids_C[at], short)
    if query.group_of_V is not None:
        group = query.group_of_V[jnp.minimum(ids_C, len(query.group_of_V) - 1)]
        out["mass"] = reference.grouped_logsumexp(logits_BxSxC, group, query.groups)
    return out


def together(a: dict[str, Array], b: dict[str, Array], query: Query) -> dict[str, Array]:
    """What two blocks, one behind the other, come to."""
    out = {name: a[name] + b[name] for name in ("target", "columns") if name in a}
    out["log_z"], out["largest"] = jnp.logaddexp(a["log_z"], b["log_z"]), jnp.maximum(a["largest"], b["largest"])
    if query.top_k:
        both = {name: jnp.concatenate([a[name], b[name]], axis=-1) for name in ("top", "top_ids")}
        out["top"], at = jax.lax.top_k(both["top"], query.top_k)
        out["top_ids"] = jnp.take_along_axis(both["top_ids"], at, axis=-1)
    if "mass" in a:
        out["mass"] = _log_add(a["mass"], b["mass"])
    return out


def _log_add(a: Array, b: Array) -> Array:
    """`log(exp a + exp b)`, with a gradient where both are minus infinity."""
    none = jnp.isneginf(a) & jnp.isneginf(b)
    return jnp.where(none, -jnp.inf, jnp.logaddexp(jnp.where(none, 0.0, a), jnp.where(none, 0.0, b)))


def _logits(h_BxSxD: Array, w_BxCxD: Array) -> Float[Array, "B S C"]:
    return jnp.einsum("BSD,BCD->BSC", h_BxSxD, w_BxCxD.astype(h_BxSxD.dtype), preferred_element_type=jnp.float32)


def _blocks(V: int, block: int) -> Int[Array, "blocks C"]:
    """All ids in order; those that fill the last block are `V` and more."""
    blocks = -(-V // block)
    return jnp.arange(blocks * block, dtype=jnp.int32).reshape(blocks, block)
