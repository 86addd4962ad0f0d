"""A model from its settings."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.data.encoders import Encoder, unit_tokens
from lexitok.models import MODELS

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


def model_maker(
    config: ConfigDict, V: int, tokens: Sequence[bytes] = (), unit_tokens: Sequence[bytes] = ()
) -> Callable[[nnx.Rngs], Any]:
    """A function that makes the model that `config.model` describes, for `V` symbols.

    Args:
      config: the whole tree.
      V: symbols of the softmax.
      tokens: the bytes of each symbol, specials empty, for interfaces that look at them.
      unit_tokens: of the tokenizer whose tokens are the units, for embeddings that know them.

    Raises:
      ValueError: an unknown kind, or parts that do not go together.
    """
    c = FrozenConfigDict(config.model)
    if c.kind not in MODELS:
        raise ValueError(f"unknown model.kind '{c.kind}'; there are {', '.join(MODELS)}")
    model = MODELS[c.kind]
    if config.text.kind not in model.kinds_of_text:
        wanted = " or ".join(model.kinds_of_text)
        raise ValueError(f"model.kind '{c.kind}' needs text.kind {wanted}, not '{config.text.kind}'")
    model.check(config)
    dtype = compute_dtype(c.compute_dtype)
    there_are = {"tokens": tokens, "unit_tokens": unit_tokens}
    needed = {name: there_are[name] for name in model.needs}
    return lambda rngs: model(c, V, **needed, dtype=dtype, rngs=rngs)


def model_for(config: ConfigDict, encoder: Encoder) -> Callable[[nnx.Rngs], Any]:
    """As `model_maker`, for the symbols of an encoder."""
    vocabulary = encoder.vocabulary
    return model_maker(config, vocabulary.size, vocabulary.token_bytes, unit_tokens(encoder))


def evaluated(model: Any) -> Any:
    """The model as it is evaluated and used: without what an interface does to symbols for training alone."""
    if not hasattr(model.interface, "evaluated"):
        return model
    out = jax.tree.map(lambda leaf: leaf, model)
    out.interface = model.interface.evaluated()
    return out
