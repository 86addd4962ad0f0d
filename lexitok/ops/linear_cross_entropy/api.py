"""The loss of every read-out: nats of the targets under a softmax over a linear map of the last hidden vectors."""

from jaxtyping import Array, Float, Int

from lexitok.ops.linear_cross_entropy import chunked, reference
from lexitok.ops.linear_cross_entropy.reference import Scores

IMPLEMENTATIONS = {"reference": reference.linear_cross_entropy, "chunked": chunked.linear_cross_entropy}


def linear_cross_entropy(
    h_BxSxD: Float[Array, "B S D"],
    w_VxD: Float[Array, "V D"],
    targets_BxS: Int[Array, "B S"],
    *,
    softcap: float = 0.0,
    chunk: int = 512,
    implementation: str | None = None,
) -> Scores:
    """Nats of the targets under `softmax(h wᵀ)`, in float32.

    Args:
      h_BxSxD: hidden vectors.
      w_VxD: a row for each symbol.
      targets_BxS: in `[0, V)`.
      softcap: logits become `softcap * tanh(logit / softcap)`; 0: none.
      chunk: positions of a row whose logits are held at once by `chunked`.
      implementation: one of `IMPLEMENTATIONS`; None: `chunked` if the row is longer than a chunk.

    Raises:
      ValueError: an unknown implementation.
    """
    if implementation is None:
        implementation = "chunked" if h_BxSxD.shape[1] > chunk else "reference"
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"unknown cross-entropy '{implementation}'; there are {', '.join(IMPLEMENTATIONS)}")
    return IMPLEMENTATIONS[implementation](h_BxSxD, w_VxD, targets_BxS, softcap=softcap, chunk=chunk)
