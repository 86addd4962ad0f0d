"""Parameters, float32, each made with the letters of its axes; `lexitok.parameter_axes` says what there is.

To add one, name its axes where it is made, as `normal(rngs, "D F", (D, F), fan_in=D)`: how it is split over the mesh,
whether it is decayed and what Muon makes of it follow. A kind of axis that there is not yet is a letter there, and a
line in `lexitok.sharding.parameters.SPLIT` if it is to be split.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lexitok.parameter_axes import AxesError, kind_of


def parameter(axes: str, values: Float[Array, "..."]) -> nnx.Param:
    """A parameter with these first values.

    Raises:
      AxesError: axes that there are not, or of another rank than the values.
    """
    kind_of(axes)
    if len(axes.split()) != values.ndim:
        raise AxesError(f"a parameter of shape {values.shape} cannot have the axes '{axes}'")
    return nnx.Param(values, axes=axes)


def normal(rngs: nnx.Rngs, axes: str, shape: Sequence[int], fan_in: int, gain: float = 1.0) -> nnx.Param:
    """A parameter from a normal distribution cut at two deviations, with standard deviation `gain / sqrt(fan_in)`."""
    cut = 0.87962566103423978  # standard deviation of the unit normal cut at two deviations
    values = jax.random.truncated_normal(rngs.params(), -2.0, 2.0, tuple(shape), jnp.float32)
    return parameter(axes, values * (gain / math.sqrt(fan_in) / cut))


def zeros(axes: str, *shape: int) -> nnx.Param:
    """A parameter of zeros."""
    return parameter(axes, jnp.zeros(shape, jnp.float32))


def ones(axes: str, *shape: int) -> nnx.Param:
    """A parameter of ones."""
    return parameter(axes, jnp.ones(shape, jnp.float32))
