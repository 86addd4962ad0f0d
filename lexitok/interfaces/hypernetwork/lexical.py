"""What keeps rows of tokens that the source has near the source's rows: the lexical loss (ZeTT, section 3.2)."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Of the distance of a row to the source's, over the mean length of the source's rows.
KINDS: dict[str, Callable[[Array], Array]] = {
    "rmse": lambda error: error,
    "mse": jnp.square,
    "huber": lambda error: jnp.where(error < 1.0, 0.5 * jnp.square(error), error - 0.5),
}


def lexical_loss(
    rows_VxD: Float[Array, "V D"], source_VxD: Float[Array, "V D"], shared_V: Bool[Array, "V"], kind: str
) -> Float[Array, ""]:
    """The mean over the shared tokens of what a row is away from the source's; 0 where none is shared.

    Args:
      rows_VxD: of all tokens.
      source_VxD: the source's rows of the shared ones.
      shared_V: the tokens of text that the source has.
      kind: one of `KINDS`: `rmse` is the distance, the published one, `mse` its square, `huber` this for small ones.
    """
    count = jnp.maximum(jnp.sum(shared_V.astype(jnp.float32)), 1.0)

    def mean(values_V: Array) -> Array:
        return jnp.sum(jnp.where(shared_V, values_V, 0.0)) / count

    size = mean(_lengths(source_VxD))
    return mean(KINDS[kind](_lengths(rows_VxD - source_VxD) / jnp.where(size > 0.0, size, 1.0)))


def _lengths(rows_VxD: Array) -> Array:
    """Lengths of rows; the gradient of that of a row of zeros, as every difference is at first, is zeros."""
    squares = jnp.sum(jnp.square(rows_VxD), axis=1)
    return jnp.where(squares > 0.0, jnp.sqrt(jnp.where(squares > 0.0, squares, 1.0)), 0.0)
