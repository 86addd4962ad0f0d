"""The dtype that activations have."""

import jax
import jax.numpy as jnp

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def compute_dtype(name: str) -> jnp.dtype:
    """The dtype of activations: parameters, softmaxes and losses are float32 whatever it is.

    `auto` is bfloat16 on accelerators and float32 on CPUs.

    Raises:
      ValueError: an unknown name.
    """
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise ValueError(f"unknown compute_dtype '{name}'; there are auto, {', '.join(DTYPES)}")
    return jnp.dtype(DTYPES[name])
