"""A model from its settings."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.data.encoders import Encoder, unit_tokens
from lexitok.interfaces.hypernetwork import Hypernetwork, as_table
from lexitok.models import MODELS
from lexitok.nn.dtypes import compute_dtype
from lexitok.text.vocabulary import Vocabulary


def model_maker(
    config: ConfigDict, V: int, vocabulary: Vocabulary | None = None, unit_tokens: Sequence[bytes] = ()
) -> Callable[[nnx.Rngs], Any]:
    """A function that makes the model that `config.model` describes, for `V` symbols.

    Args:
      config: the whole tree.
      V: symbols of the softmax.
      vocabulary: of the symbols, for interfaces that look at it.
      unit_tokens: the bytes of each token of the tokenizer whose tokens are the units, for embeddings that know them.

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
    there_are = {"vocabulary": vocabulary, "unit_tokens": unit_tokens}
    needed = {name: there_are[name] for name in model.needs}
    return lambda rngs: model(c, V, **needed, dtype=dtype, rngs=rngs)


def model_for(config: ConfigDict, encoder: Encoder) -> Callable[[nnx.Rngs], Any]:
    """As `model_maker`, for the symbols of an encoder."""
    vocabulary = encoder.vocabulary
    return model_maker(config, vocabulary.size, vocabulary, unit_tokens(encoder))


def with_table(model: Any) -> Any:
    """The model with a learned table in place of an interface that makes one: the same predictions, made once.

    A hypernetwork's model is decoded and exported so; other models are returned as they are.
    """
    if not isinstance(getattr(model, "interface", None), Hypernetwork):
        return model
    out = jax.tree.map(lambda leaf: leaf, model)
    out.interface = as_table(model.interface)
    return out


def evaluated(model: Any) -> Any:
    """The model as it is evaluated and used: without what an interface does to symbols for training alone."""
    if not hasattr(model.interface, "evaluated"):
        return model
    out = jax.tree.map(lambda leaf: leaf, model)
    out.interface = model.interface.evaluated()
    return out
