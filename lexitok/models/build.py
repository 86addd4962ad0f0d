"""A model from its settings."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.models import MODELS
from lexitok.models.causality import check_causal

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def compute_dtype(name: str) -> jnp.dtype:
    """The dtype of activations: parameters, softmaxes and losses are float32 whatever it is.

    `auto` is bfloat16 on accelerators and float32 on CPUs.
    """
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise ValueError(f"unknown compute_dtype '{name}'; there are auto, {', '.join(DTYPES)}")
    return jnp.dtype(DTYPES[name])


def model_maker(config: ConfigDict, V: int) -> Callable[[nnx.Rngs], Any]:
    """A function that makes the model that `config.model` describes, for `V` symbols.

    Raises:
      ValueError: an unknown kind, or parts that do not go together.
    """
    c = FrozenConfigDict(config.model)
    if c.kind not in MODELS:
        raise ValueError(f"unknown model.kind '{c.kind}'; there are {', '.join(MODELS)}")
    _check_text(config)
    dtype = compute_dtype(c.compute_dtype)
    return lambda rngs: MODELS[c.kind](c, V, dtype=dtype, rngs=rngs)


def _check_text(config: ConfigDict) -> None:
    text, model = config.text, config.model
    wanted = {"token_lm": ("subword", "bytes"), "byte_unit_lm": ("byte_units",)}[model.kind]
    if text.kind not in wanted:
        raise ValueError(f"model.kind '{model.kind}' needs text.kind {' or '.join(wanted)}, not '{text.kind}'")
    if model.kind != "byte_unit_lm":
        return
    check_causal(model, text.boundary)
    for name in ("encoder", "decoder"):
        stack = model[name]
        longest = text.max_unit_bytes + 1  # the symbol that opens the unit is part of it
        if stack.scope == "unit" and stack.window < longest:
            raise ValueError(
                f"model.{name}.window is {stack.window}, but units are up to {longest} symbols long; raise it or lower "
                "text.max_unit_bytes"
            )
