"""Arrays of a model that are made and not learnt: of its settings and its vocabulary, as the pictures of tokens are.

They are leaves of the model's tree, so that programs take them as arguments; as constants, every compiled program would
have a copy, which is megabytes for a large vocabulary. Unlike parameters they have no gradient, no moments and no
average (a train state has them among what is fixed), keep their dtype, are counted nowhere, and are in no checkpoint:
whoever makes the model makes them again. They are known by their names, which begin with `made_`.

On a mesh every device has all of them. They are small beside a table of vectors (32 bytes a symbol for a picture, 12 a
cell of a trie), and rows of batches, which are split, look up any of their entries: split, they would have to be
gathered first, in the suffix trie for each byte of a token.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Sharding
from jaxtyping import Shaped

from lexitok.parameter_names import map_with_name, names, to_dicts

PREFIX = "made_"


class Made(nnx.Variable):
    """An array that is made and not learnt; as an attribute of a module it has a name that begins with `PREFIX`."""


def made(values: Shaped[np.ndarray, "..."]) -> Made:
    """An array with these values, for an attribute `made_...` of a module."""
    return Made(jnp.array(values))


def is_made(name: str) -> bool:
    """Whether the leaf of a tree with this dotted name is made and not learnt."""
    return name.rpartition(".")[2].startswith(PREFIX)


def without_made(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves by dotted name, those that are made left out."""
    return {name: leaf for name, leaf in leaves.items() if not is_made(name)}


def with_made(like: Any, make_model: Callable[[nnx.Rngs], Any], sharding: Sharding | None = None) -> Any:
    """A model with the arrays that are made, where it may have only shapes of them; nothing else of it is computed.

    Args:
      like: the model, or the part of it that is fixed; its other leaves stay as they are.
      make_model: makes the whole of it.
      sharding: of these arrays; None: they are put on the default device.
    """
    wanted = [name for name in names(to_dicts(like)) if is_made(name)]
    if not wanted:
        return like

    def make() -> dict[str, jax.Array]:
        leaves = names(to_dicts(make_model(nnx.Rngs(params=0))))
        return {name: leaves[name] for name in wanted}

    arrays = jax.jit(make, out_shardings=sharding)()
    return map_with_name(lambda name, leaf: arrays.get(name, leaf), like)
