"""What lets positions see each other: attention, or a recurrence. A new mixer is a file and a line in `RECURRENT`.

A recurrent mixer has `mixer(x, positions)`, `mixer.extend(x, live, state)` and `empty(c, rows, dtype)`: its state is of
a fixed size. Attention has `kind`s of layers, and keys and values that grow.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn.attention import Attention
from lexitok.nn.cache import Cache, KVCache, StateCache
from lexitok.nn.mamba2 import Mamba2
from lexitok.nn.mlstm import MLSTM
from lexitok.ops.attention import Positions

RECURRENT = {"mamba2": Mamba2, "mlstm": MLSTM}
MIXERS = ("attention", *RECURRENT)
Mixer = Attention | Mamba2 | MLSTM


def make_mixer(c: ConfigDict, scope: str, rngs: nnx.Rngs) -> Mixer:
    """The mixer that `c.mixer` names.

    Raises:
      ValueError: a recurrent mixer is to look ahead.
    """
    if c.mixer == "attention":
        return Attention(c, scope=scope, rngs=rngs)
    if scope != "causal":
        raise ValueError(f"mixer '{c.mixer}' is causal: it cannot have scope '{scope}'")
    return RECURRENT[c.mixer](c, rngs=rngs)


def mix(mixer: Mixer, x_BxSxD: Float[Array, "B S D"], positions: Positions, kind: str) -> Float[Array, "B S D"]:
    """The mixer's output over packed rows."""
    return mixer(x_BxSxD, positions, kind) if isinstance(mixer, Attention) else mixer(x_BxSxD, positions)


def empty_cache(c: ConfigDict, rows: int, entries: int, dtype: DTypeLike) -> Cache:
    """A cache for all layers of a stack that has read nothing; `entries` are those of keys and values."""
    if c.mixer == "attention":
        return KVCache.empty(c, rows, entries, dtype)
    state = RECURRENT[c.mixer].empty(c, rows, dtype)
    return StateCache(jax.tree.map(lambda a: jnp.tile(a[None], (c.L,) + (1,) * a.ndim), state))


def extend(
    mixer: Mixer,
    x_BxTxD: Float[Array, "B T D"],
    positions: Positions,
    kind: str,
    cached: Any,
    layer: Array,
    cache: Cache,
) -> tuple[Float[Array, "B T D"], Any]:
    """As `mix` on new positions behind those in the cache; returns the output and what all layers hold."""
    if isinstance(mixer, Attention):
        return mixer.extend(x_BxTxD, positions, kind, cached, layer, cache)
    assert isinstance(cache, StateCache) and cache.live_BxT is not None
    y, state = mixer.extend(x_BxTxD, cache.live_BxT, jax.tree.map(lambda a: a[layer], cached))
    return y, jax.tree.map(lambda a, new: a.at[layer].set(new), cached, state)
