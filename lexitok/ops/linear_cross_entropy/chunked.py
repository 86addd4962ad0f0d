"""Cross-entropy a few positions of every row at a time; the backward pass computes the logits again."""

import functools

import jax
import jax.numpy as jnp

from lexitok.ops.linear_cross_entropy import reference


def linear_cross_entropy(h_BxSxD, w_VxD, targets_BxS, *, softcap, chunk) -> reference.Scores:
    """As `api.linear_cross_entropy`; holds `B·chunk·V` logits. Chunks are along `S`, so sharded rows stay put."""
    B, S, D = h_BxSxD.shape
    chunks = -(-S // chunk)
    padding = chunks * chunk - S
    h = jnp.pad(h_BxSxD, ((0, 0), (0, padding), (0, 0))).reshape(B, chunks, chunk, D)
    targets = jnp.pad(targets_BxS, ((0, 0), (0, padding))).reshape(B, chunks, chunk)

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.nothing_saveable)
    def one(w_VxD, h_BxCxD, targets_BxC):
        return reference.linear_cross_entropy(h_BxCxD, w_VxD, targets_BxC, softcap=softcap, chunk=chunk)

    _, scores = jax.lax.scan(
        lambda _, x: (None, one(w_VxD, *x)), None, (jnp.moveaxis(h, 1, 0), jnp.moveaxis(targets, 1, 0))
    )
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1).reshape(B, chunks * chunk)[:, :S], scores)
