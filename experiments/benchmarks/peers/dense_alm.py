"""ALM from dense masks, as tokenkit (Apache-2.0, commit bcacdef) computes it, re-stated in JAX from its description.

Which token is in which chunk are two boolean arrays `[B, T, C]`, one of each tokenisation, with as many chunks as the
shorter one has tokens; which chunk is merged into which is a third, `[B, C, C]`, made of the teacher's mass of what
begins something new. Sums over chunks are products with them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lexitok.distill.losses.divergences import Divergence


def dense_alm(
    log_q_BxS: Float[Array, "B S"],
    log_p_BxT: Float[Array, "B T"],
    student_BxSxC: Bool[Array, "B S C"],
    teacher_BxTxC: Bool[Array, "B T C"],
    begins_q_BxC: Float[Array, "B C"],
    begins_p_BxC: Float[Array, "B C"],
    divergence: Divergence,
    threshold: float,
) -> Float[Array, ""]:
    """The mean over merged chunks.

    Args:
      log_q_BxS, log_p_BxT: log-probabilities of the tokens.
      student_BxSxC, teacher_BxTxC: the chunk of each.
      begins_q_BxC, begins_p_BxC: log-mass of what begins something new after each chunk.
      divergence: as of `binary_divergence`.
      threshold: of the teacher's mass, above which a chunk ends.
    """
    log_q = jnp.einsum("BSC,BS->BC", student_BxSxC.astype(jnp.float32), log_q_BxS)
    log_p = jnp.einsum("BTC,BT->BC", teacher_BxTxC.astype(jnp.float32), log_p_BxT)
    ends = jnp.exp(begins_p_BxC) > threshold
    merged_into = jnp.cumsum(ends, axis=1) - ends.astype(jnp.int32)
    C = ends.shape[1]
    merge_BxCxC = (merged_into[..., None] == jnp.arange(C, dtype=jnp.int32)[None, None]).astype(jnp.float32)
    there = jnp.any(student_BxSxC, axis=1)
    sizes = jnp.einsum("BCG,BC->BG", merge_BxCxC, there.astype(jnp.float32))
    sides = []
    for logs, begins in ((log_p, begins_p_BxC), (log_q, begins_q_BxC)):
        sides.append(jnp.einsum("BCG,BC->BG", merge_BxCxC, logs + jnp.where(ends, begins, 0.0)))
    values = jnp.where(sizes > 0, divergence(*(jnp.where(sizes > 0, x, -1.0) for x in sides)), 0.0)
    return jnp.sum(values) / jnp.maximum(jnp.sum(sizes > 0).astype(jnp.float32), 1.0)
