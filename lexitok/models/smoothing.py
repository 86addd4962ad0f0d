"""Exponential smoothing over the units of a row, in parallel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_SURE = 1e-4  # probabilities keep this distance from 0 and 1


def smoothed(
    x_BxWxD: Float[Array, "B W D"],
    chance_BxW: Float[Array, "B W"],
    opens_BxW: Bool[Array, "B W"],
    held_Bx1xD: Float[Array, "B 1 D"] | None = None,
) -> Float[Array, "B W D"]:
    """`y_w = p_w x_w + (1 - p_w) y_{w-1}`, in float32 (H-Net, equation 5).

    Args:
      x_BxWxD: vectors of units.
      chance_BxW: `p`; kept from 0 and 1, but where it is 0, which leaves `y` as it was.
      opens_BxW: `y` before this unit is zero.
      held_Bx1xD: `y` before the first unit; None: zero.
    """
    p = jnp.where(chance_BxW > 0, jnp.clip(chance_BxW, _SURE, 1.0 - _SURE), 0.0)[..., None]
    decay = jnp.where(opens_BxW[..., None], 0.0, 1.0 - p)
    new = p * x_BxWxD.astype(jnp.float32)
    if held_Bx1xD is not None:
        new = new.at[:, :1].add(decay[:, :1] * held_Bx1xD.astype(jnp.float32))

    def then(a, b):
        return a[0] * b[0], b[0] * a[1] + b[1]

    return jax.lax.associative_scan(then, (decay, new), axis=1)[1].astype(x_BxWxD.dtype)
