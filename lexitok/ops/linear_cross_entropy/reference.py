"""Cross-entropy from whole logits: the definition that every other implementation is held to."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Scores(NamedTuple):
    """What a read-out says about its targets.

    Attributes:
      nll_BxS: nats, float32.
      log_z_BxS: log of the sum of the exponentials of the logits, float32.
      is_top_BxS: no symbol has a larger logit than the target.
    """

    nll_BxS: Float[Array, "B S"]
    log_z_BxS: Float[Array, "B S"]
    is_top_BxS: Bool[Array, "B S"]


def logits(h_BxSxD: Float[Array, "B S D"], w_VxD: Float[Array, "V D"], softcap: float) -> Float[Array, "B S V"]:
    """Float32 logits; the product takes its operands in the dtype of `h`."""
    out = jnp.einsum("BSD,VD->BSV", h_BxSxD, w_VxD.astype(h_BxSxD.dtype), preferred_element_type=jnp.float32)
    return softcap * jnp.tanh(out / softcap) if softcap else out


def linear_cross_entropy(h_BxSxD, w_VxD, targets_BxS: Int[Array, "B S"], *, softcap, chunk) -> Scores:
    """As `api.linear_cross_entropy`; holds `B·S·V` logits, `chunk` has no meaning."""
    del chunk
    logits_BxSxV = logits(h_BxSxD, w_VxD, softcap)
    log_z = jax.nn.logsumexp(logits_BxSxV, axis=-1)
    target = jnp.take_along_axis(logits_BxSxV, targets_BxS[..., None], axis=-1)[..., 0]
    return Scores(log_z - target, log_z, target >= logits_BxSxV.max(-1))
