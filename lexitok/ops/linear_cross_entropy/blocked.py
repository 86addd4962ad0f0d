"""Cross-entropy a few symbols at a time, for vectors that are made when they are needed and never held together."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lexitok.ops.linear_cross_entropy.reference import Scores

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


def blocked_cross_entropy(
    h_BxSxD: Float[Array, "B S D"],
    vectors: VectorsOf,
    V: int,
    targets_BxS: Int[Array, "B S"],
    *,
    block: int,
    softcap: float = 0.0,
) -> Scores:
    """Nats of the targets under a softmax over `h · vectors(symbol)`, in float32.

    A block's logits and vectors are all that is held, on the way back too, where they are made again: `B·S·C` and
    `B·C·D` numbers for blocks of `C` symbols. What `vectors` depends on gets its gradients.

    Args:
      h_BxSxD, vectors, V, block: as of `logits_in_blocks`.
      targets_BxS: in `[0, V)`.
      softcap: logits become `softcap * tanh(logit / softcap)`; 0: none.
    """

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.nothing_saveable)
    def one(h_BxSxD, ids_C):
        logits = _logits(h_BxSxD, vectors(jnp.minimum(ids_C, V - 1)))
        if softcap:
            logits = softcap * jnp.tanh(logits / softcap)
        logits = jnp.where((ids_C < V)[None, None, :], logits, -jnp.inf)
        place = targets_BxS - ids_C[0]
        inside = (place >= 0) & (place < block)
        target = jnp.take_along_axis(logits, jnp.clip(place, 0, block - 1)[..., None], axis=-1)[..., 0]
        return jax.nn.logsumexp(logits, axis=-1), jnp.where(inside, target, 0.0), jax.lax.stop_gradient(logits.max(-1))

    def add(sums, ids_C):
        log_z, target, top = sums
        new_log_z, new_target, new_top = one(h_BxSxD, ids_C)
        return (jnp.logaddexp(log_z, new_log_z), target + new_target, jnp.maximum(top, new_top)), None

    blocks = _blocks(V, block)
    (log_z, target, top), _ = jax.lax.scan(add, one(h_BxSxD, blocks[0]), blocks[1:])
    return Scores(log_z - target, log_z, target >= top)


def _logits(h_BxSxD: Array, w_BxCxD: Array) -> Float[Array, "B S C"]:
    return jnp.einsum("BSD,BCD->BSC", h_BxSxD, w_BxCxD.astype(h_BxSxD.dtype), preferred_element_type=jnp.float32)


def _blocks(V: int, block: int) -> Int[Array, "blocks C"]:
    """All ids in order; those that fill the last block are `V` and more."""
    blocks = -(-V // block)
    return jnp.arange(blocks * block, dtype=jnp.int32).reshape(blocks, block)
