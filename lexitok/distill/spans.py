"""What a model has made of each span of an aligned batch."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lexitok.text.alignment import NONE


def states_after_spans(
    h_BxSxD: Float[Array, "B S D"], of_BxS: Int[Array, "B S"], segments_BxS: Int[Array, "B S"], spans: int
) -> tuple[Float[Array, "B spans D"], Bool[Array, "B spans"]]:
    """The vector of the position that has read each span, and nothing after it.

    A span is of targets, and position `t` reads the target of `t - 1`: it is the one after the span's last target. The
    last target of a piece is read by none.

    Args:
      h_BxSxD: a vector for each position.
      of_BxS: the span of each target (`lexitok.data.batch.Alignment`), or `NONE`.
      segments_BxS: the piece of each position.
      spans: how many a row has room for.

    Returns:
      The vectors, and whether there is one: not for spans that are not there, nor for the last of a piece.
    """
    B, S = of_BxS.shape
    rows = jnp.arange(B)[:, None]
    at = jnp.where(of_BxS == NONE, spans, of_BxS)
    last = jnp.full((B, spans + 1), -1, jnp.int32).at[rows, at].max(jnp.arange(S, dtype=jnp.int32)[None])[:, :spans]
    after = jnp.minimum(last + 1, S - 1)
    same_piece = segments_BxS[rows, after] == segments_BxS[rows, jnp.maximum(last, 0)]
    return h_BxSxD[rows, after], (last >= 0) & (last + 1 < S) & same_piece
