"""The recurrence a position at a time: the definition that every other implementation is held to."""

import jax
import jax.numpy as jnp


def linear_recurrence(q_BxSxGxN, k_BxSxGxN, v_BxSxHxP, log_decay_BxSxH, starts_BxS, initial_BxHxNxP, *, chunk):
    """As `api.linear_recurrence`, all operands float32; `chunk` has no meaning."""
    del chunk
    heads_a_group = v_BxSxHxP.shape[2] // q_BxSxGxN.shape[2]
    q_BxSxHxN, k_BxSxHxN = (jnp.repeat(x, heads_a_group, axis=2) for x in (q_BxSxGxN, k_BxSxGxN))
    decay_BxSxH = jnp.where(starts_BxS[:, :, None], 0.0, jnp.exp(log_decay_BxSxH))

    def step(memory, now):
        q, k, v, decay = now
        memory = memory * decay[:, :, None, None] + k[:, :, :, None] * v[:, :, None, :]
        return memory, jnp.einsum("BHN,BHNP->BHP", q, memory)

    by_time = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (q_BxSxHxN, k_BxSxHxN, v_BxSxHxP, decay_BxSxH))
    memory, y = jax.lax.scan(step, initial_BxHxNxP, by_time)
    return jnp.moveaxis(y, 0, 1), memory
