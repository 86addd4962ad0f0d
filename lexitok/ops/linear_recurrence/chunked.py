"""The recurrence by matrix products within chunks, and a scan over chunks only (arXiv 2405.21060, section 6).

Axes: `B` rows, `K` chunks, `C` positions of a chunk, `T` positions of a chunk that read, `G` groups, `R` heads of a
group.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_GONE = -128.0  # exp(-128) is 0 in float32: a stronger decay is no different, and this one can be added up


def linear_recurrence(q_BxSxGxN, k_BxSxGxN, v_BxSxHxP, log_decay_BxSxH, starts_BxS, initial_BxHxNxP, *, chunk):
    """As `api.linear_recurrence`, all operands float32; holds `B·S·H·chunk` weights, made again for the backward pass.

    Weights are exponentials of sums of log decays between two positions of one segment, which are at most 0.
    """
    B, S, G, N = q_BxSxGxN.shape
    H, P = v_BxSxHxP.shape[2:]
    C = min(chunk, S)
    K, R = -(-S // C), H // G

    def cut(x, *axes):  # [B, S, ...] -> [B, K, C, *axes]; what is added decays nothing and brings nothing
        padding = [(0, 0), (0, K * C - S)] + [(0, 0)] * (x.ndim - 2)
        return jnp.pad(x, padding).reshape(B, K, C, *axes)

    q, k = jnp.moveaxis(cut(q_BxSxGxN, G, N), 3, 2), jnp.moveaxis(cut(k_BxSxGxN, G, N), 3, 2)
    v = jnp.moveaxis(cut(v_BxSxHxP, G, R, P), 3, 2)
    starts_BxKxC = cut(starts_BxS)
    runs_BxKxC = jnp.cumsum(starts_BxKxC, axis=2, dtype=jnp.int32)  # 0: what came before the chunk still lives
    seen = (runs_BxKxC[:, :, :, None] == runs_BxKxC[:, :, None, :]) & jnp.tri(C, dtype=bool)[None, None]
    fades = jnp.moveaxis(jnp.maximum(cut(log_decay_BxSxH, G, R), _GONE), 2, 4)
    sums = _sums(jnp.where(starts_BxKxC[:, :, None, None], 0.0, fades), starts_BxKxC, seen)

    gained, kept = _chunk_memories(k, v, sums, runs_BxKxC)
    last, before = _scan_chunks(jnp.moveaxis(initial_BxHxNxP.reshape(B, G, R, N, P), 2, 3), gained, kept)
    y = _read_own(q, k, v, sums, seen) + _read_before(q, before, sums[0], runs_BxKxC)
    y = jnp.moveaxis(y, 2, 3).reshape(B, K * C, H, P)[:, :S]
    return y, jnp.moveaxis(last, 3, 2).reshape(B, H, N, P)


Sums = tuple[Float[Array, "B K G R C"], Float[Array, "B K G R C"]]


def _sums(fades: Float[Array, "B K G R C"], starts_BxKxC: Bool[Array, "B K C"], seen: Bool[Array, "B K C C"]) -> Sums:
    """Running sums of log decays from the start of the segment or of the chunk, and what they lost to rounding.

    A difference of running sums has the rounding errors of the large sums, where a strong decay came before. With the
    difference of what they lost added, its error is as small as that of the terms between the two positions.
    Sums by product with the mask, not by `cumsum`: no rounding, and so no gradient, passes from segment to segment.
    """

    def run(x):
        return jnp.einsum("BKTC,BKGRC->BKGRT", seen.astype(x.dtype), x, precision=jax.lax.Precision.HIGHEST)

    sums = run(fades)
    earlier = jnp.pad(sums[..., :-1], [(0, 0)] * 4 + [(1, 0)])
    steps = sums - jnp.where(starts_BxKxC[:, :, None, None], 0.0, earlier)
    return sums, jax.lax.stop_gradient(run(fades - steps))


def _fade(to: tuple[Array, Array], since: tuple[Array, Array], seen: Bool[Array, "..."]) -> Float[Array, "..."]:
    """What is left at one position of what came in at another; 0 where it is not seen."""
    total = jnp.minimum((to[0] - since[0]) + (to[1] - since[1]), 0.0)
    # Sums of unseen pairs can be large and positive: for the sake of the gradient they must not reach the exponential.
    return jnp.where(seen, jnp.exp(jnp.where(seen, total, 0.0)), 0.0)


def _chunk_memories(
    k: Float[Array, "B K G C N"], v: Float[Array, "B K G C R P"], sums: Sums, runs_BxKxC: Int[Array, "B K C"]
) -> tuple[Float[Array, "B K G N R P"], Float[Array, "B K G R"]]:
    """What each chunk adds to the memory at its end, and the factor of what came before it."""
    ends, last_BxKx1 = (sums[0][..., -1:], sums[1][..., -1:]), runs_BxKxC[..., -1:]
    left = _fade(ends, sums, (runs_BxKxC == last_BxKx1)[:, :, None, None])
    kept = jnp.where((last_BxKx1 == 0)[:, :, None, None], jnp.exp(ends[0]), 0.0)
    left = jnp.moveaxis(left, 3, 4)[..., None]
    return jnp.einsum("BKGCN,BKGCRP->BKGNRP", k, v * left), kept[..., 0]


def _scan_chunks(
    initial: Float[Array, "B G N R P"], gained: Float[Array, "B K G N R P"], kept: Float[Array, "B K G R"]
) -> tuple[Float[Array, "B G N R P"], Float[Array, "B K G N R P"]]:
    """The memory after the last chunk, and before each."""

    def step(memory, now):
        gained, kept = now
        return memory * kept[:, :, None, :, None] + gained, memory

    last, before = jax.lax.scan(step, initial, (jnp.moveaxis(gained, 1, 0), jnp.moveaxis(kept, 1, 0)))
    return last, jnp.moveaxis(before, 0, 1)


@functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.nothing_saveable)
def _read_own(
    q: Float[Array, "B K G C N"],
    k: Float[Array, "B K G C N"],
    v: Float[Array, "B K G C R P"],
    sums: Sums,
    seen: Bool[Array, "B K C C"],
) -> Float[Array, "B K G C R P"]:
    """What the queries read of their own chunk."""
    to = sums[0][..., :, None], sums[1][..., :, None]
    since = sums[0][..., None, :], sums[1][..., None, :]
    weights = _fade(to, since, seen[:, :, None, None])
    scores = jnp.einsum("BKGTN,BKGCN->BKGTC", q, k)
    return jnp.einsum("BKGRTC,BKGCRP->BKGTRP", scores[:, :, :, None] * weights, v)


def _read_before(
    q: Float[Array, "B K G C N"],
    before: Float[Array, "B K G N R P"],
    sums: Float[Array, "B K G R C"],
    runs_BxKxC: Int[Array, "B K C"],
) -> Float[Array, "B K G C R P"]:
    """What the queries read of the memory from before their chunk."""
    left = jnp.where((runs_BxKxC == 0)[:, :, None, None], jnp.exp(sums), 0.0)
    return jnp.einsum("BKGTN,BKGNRP->BKGTRP", q, before) * jnp.moveaxis(left, 3, 4)[..., None]
