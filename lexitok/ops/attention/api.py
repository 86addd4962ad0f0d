"""The attention of every stack: grouped queries over packed rows, causal or full, with or without a window."""

import functools
from typing import Any

import jax
from jaxtyping import Array, Float

from lexitok.ops.attention import blocked, chunked, cudnn, reference
from lexitok.ops.attention.positions import Positions

IMPLEMENTATIONS = {
    "reference": reference.attention,
    "blocked": blocked.attention,
    "chunked": chunked.attention,
    "cudnn": cudnn.attention,
}
SCOPES = ("causal", "full")
MARK = "attention_seeing_"  # what the op is called in a traced program, before the keys that a query sees


def attention(
    q_BxTxHxN: Float[Array, "B T H N"],
    k_BxSxKxN: Float[Array, "B S K N"],
    v_BxSxKxN: Float[Array, "B S K N"],
    query: Positions,
    key: Positions | None = None,
    *,
    scope: str = "causal",
    window: int = 0,
    scale: float,
    softcap: float = 0.0,
    implementation: str | None = None,
) -> Float[Array, "B T H N"]:
    """Mixes the values that each query sees.

    In a traced program the op is one call named `MARK` and `keys_seen`, so that its work can be counted by what is
    seen (`lexitok.training.flops`), whatever the implementation multiplies.

    Args:
      q_BxTxHxN, k_BxSxKxN, v_BxSxKxN: queries, keys and values; `H` is a multiple of `K`.
      query: positions of the queries.
      key: positions of the keys; None: self-attention over a packed row, `T = S`.
      scope: `causal`, a query sees no later position, or `full`.
      window: positions seen to one side, the own one included; 0: no limit.
      scale: factor of the scores.
      softcap: scores become `softcap * tanh(score / softcap)`; 0: none.
      implementation: one of `IMPLEMENTATIONS`; None chooses for self-attention `blocked` where a window makes it worth
        it, `chunked` for long rows, and `reference` otherwise.

    Raises:
      ValueError: an unknown implementation or scope.
      NotImplementedError: the named implementation cannot do this.
    """
    if scope not in SCOPES:
        raise ValueError(f"unknown scope '{scope}'; there are {', '.join(SCOPES)}")
    is_self = key is None
    if implementation is None:
        implementation = _choose(q_BxTxHxN.shape[1], window) if is_self else "reference"
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"unknown attention '{implementation}'; there are {', '.join(IMPLEMENTATIONS)}")
    if implementation == "blocked" and not (is_self and window):
        raise NotImplementedError("attention 'blocked' needs self-attention with a window")
    seen = keys_seen(k_BxSxKxN.shape[1], scope=scope, window=window, is_self=is_self)
    op = _marked(implementation, seen, chunked.CHUNK, scope=scope, window=window, scale=scale, softcap=softcap)
    return op(q_BxTxHxN, k_BxSxKxN, v_BxSxKxN, query, query if key is None else key)


def keys_seen(S: int, *, scope: str, window: int, is_self: bool) -> float:
    """Keys that a query sees in a full row of `S`, on average: the measure of the op's work.

    Causal self-attention sees half the row, or its window. Full attention with a window is counted as what it is used
    for, attention within units that are no longer than the window. Segments are not known here: where a row holds
    several, less is seen.
    """
    half = S / 2 if scope == "causal" and is_self else float(S)
    return min(float(window), half) if window else half


@functools.lru_cache(maxsize=256)
def _marked(implementation: str, seen: float, chunk: int, **settings: Any) -> Any:
    """The op as a call of its own in a traced program; `chunk` is there because the program depends on it."""
    del chunk

    def op(q, k, v, query, key):
        return IMPLEMENTATIONS[implementation](q, k, v, query, key, **settings)

    op.__name__ = op.__qualname__ = f"{MARK}{seen:g}"
    return jax.jit(op)


def _choose(S: int, window: int) -> str:
    if window and 2 * window <= S:
        return "blocked"
    return "chunked" if 2 * chunked.CHUNK < S else "reference"
