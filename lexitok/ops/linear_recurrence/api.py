"""A memory `[N, P]` a head that fades by a factor, takes in `k ⊗ v` and is read by `q`: Mamba-2, mLSTM."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lexitok.ops.linear_recurrence import chunked, reference

IMPLEMENTATIONS = {"reference": reference.linear_recurrence, "chunked": chunked.linear_recurrence}


def linear_recurrence(
    q_BxSxGxN: Float[Array, "B S G N"],
    k_BxSxGxN: Float[Array, "B S G N"],
    v_BxSxHxP: Float[Array, "B S H P"],
    log_decay_BxSxH: Float[Array, "B S H"],
    starts_BxS: Bool[Array, "B S"],
    initial_BxHxNxP: Float[Array, "B H N P"] | None = None,
    *,
    chunk: int = 64,
    implementation: str | None = None,
) -> tuple[Float[Array, "B S H P"], Float[Array, "B H N P"]]:
    """`memory_t = exp(log_decay_t) memory_{t-1} + k_t ⊗ v_t` and `y_t = q_t · memory_t`, in float32.

    This is the state space dual form of arXiv 2405.21060, with a scalar decay a head (section 5).

    Args:
      q_BxSxGxN, k_BxSxGxN: what reads and what addresses the memory; `G` divides `H`, consecutive heads share a group.
      v_BxSxHxP: what is remembered.
      log_decay_BxSxH: at most 0; `-inf` forgets everything.
      starts_BxS: where the memory is emptied before it takes in the position.
      initial_BxHxNxP: memory before the first position; None: empty.
      chunk: positions of a row that `chunked` computes at once.
      implementation: one of `IMPLEMENTATIONS`; None: `chunked` if there is more than one position.

    Returns:
      `y` and the memory after the last position, both float32.

    Raises:
      ValueError: an unknown implementation, a chunk that is not positive, groups that do not divide the heads.
    """
    B, S, G, N = q_BxSxGxN.shape
    H, P = v_BxSxHxP.shape[2:]
    if H % G:
        raise ValueError(f"{H} heads cannot share {G} groups of queries and keys: H must be a multiple of G")
    if chunk < 1:
        raise ValueError(f"a chunk has at least one position, got {chunk}")
    if implementation is None:
        implementation = "chunked" if S > 1 else "reference"
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"unknown recurrence '{implementation}'; there are {', '.join(IMPLEMENTATIONS)}")
    if initial_BxHxNxP is None:
        initial_BxHxNxP = jnp.zeros((B, H, N, P), jnp.float32)
    q, k, v, log_decay, initial = (
        x.astype(jnp.float32) for x in (q_BxSxGxN, k_BxSxGxN, v_BxSxHxP, log_decay_BxSxH, initial_BxHxNxP)
    )
    return IMPLEMENTATIONS[implementation](q, k, v, log_decay, starts_BxS, initial, chunk=chunk)
