"""The read-out of every model: reductions of `softcap(h wᵀ)`, forwards and backwards, in float32."""

from jaxtyping import Array, Float

from lexitok.ops.read_out import chunked, reference
from lexitok.ops.read_out.query import Query, Reductions

IMPLEMENTATIONS = {"reference": reference.read_out, "chunked": chunked.read_out}


def read_out(
    h_BxSxD: Float[Array, "B S D"],
    w_VxD: Float[Array, "V D"],
    query: Query,
    *,
    softcap: float = 0.0,
    implementation: str | None = None,
) -> Reductions:
    """What is asked of the logits, all of it in one pass.

    On a mesh that is set (`jax.set_mesh`) rows are split over `data` and `fsdp`, and the vocabulary over `tensor` where
    that divides it; the results are the same. Everything but `is_top` and ids can be differentiated, by `h` and `w`.
    Vectors that are made when they are needed, and differ by row, have their own way: `blocked`.

    Args:
      h_BxSxD: hidden vectors.
      w_VxD: a row for each symbol.
      query: what is asked.
      softcap: logits become `softcap * tanh(logit / softcap)`; 0: none.
      implementation: one of `IMPLEMENTATIONS`; None: `chunked`.

    Raises:
      ValueError: an unknown implementation.
    """
    name = "chunked" if implementation is None else implementation
    if name not in IMPLEMENTATIONS:
        raise ValueError(f"unknown read-out '{implementation}'; there are {', '.join(IMPLEMENTATIONS)}")
    return IMPLEMENTATIONS[name](h_BxSxD, w_VxD, query, softcap=softcap)
