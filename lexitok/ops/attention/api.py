"""The attention of every stack: grouped queries over packed rows, causal or full, with or without a window."""

from jaxtyping import Array, Float

from lexitok.ops.attention import blocked, chunked, cudnn, reference
from lexitok.ops.attention.places import Places

IMPLEMENTATIONS = {
    "reference": reference.attention,
    "blocked": blocked.attention,
    "chunked": chunked.attention,
    "cudnn": cudnn.attention,
}
SCOPES = ("causal", "full")


def attention(
    q_BxTxHxN: Float[Array, "B T H N"],
    k_BxSxKxN: Float[Array, "B S K N"],
    v_BxSxKxN: Float[Array, "B S K N"],
    query: Places,
    key: Places | None = None,
    *,
    scope: str = "causal",
    window: int = 0,
    scale: float,
    softcap: float = 0.0,
    implementation: str | None = None,
) -> Float[Array, "B T H N"]:
    """Mixes the values that each query sees.

    Args:
      q_BxTxHxN, k_BxSxKxN, v_BxSxKxN: queries, keys and values; `H` is a multiple of `K`.
      query: places of the queries.
      key: places of the keys; None: self-attention over a packed row, `T = S`.
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
    return IMPLEMENTATIONS[implementation](
        q_BxTxHxN,
        k_BxSxKxN,
        v_BxSxKxN,
        query,
        query if key is None else key,
        scope=scope,
        window=window,
        scale=scale,
        softcap=softcap,
    )


def _choose(S: int, window: int) -> str:
    if window and 2 * window <= S:
        return "blocked"
    return "chunked" if 2 * chunked.CHUNK < S else "reference"
