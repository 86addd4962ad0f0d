"""The transformer stack of every model: one block, stacked over layers and scanned.

By its `lexitok.config.transformer` section it is the shape of Llama 3, Qwen 3 or Gemma 3. It has no embedding and no
read-out: those are interfaces.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn.block import Block
from lexitok.nn.cache import Cache
from lexitok.nn.layers import FEED_FORWARDS, NORMS, make_norm, normed
from lexitok.nn.mixers import MIXERS, empty_cache
from lexitok.ops.attention import Positions
from lexitok.parameter_axes import stacked
from lexitok.sharding import keep_rows_split

Before = tuple[Any, Callable[[Any, Array], Array]] | None  # layers' parameters, and what is done with them before each

REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


LAYER_KINDS = ("global", "local", "unrotated")
BIASES = ("none", "learned")
ATTENTION_BIASES = ("none", "qkv", "all")
RESIDUALS = ("serial", "parallel")


class Transformer(nnx.Module):
    """`L` blocks and a final norm.

    Attributes:
      layers: a `Block` whose every parameter has a leading axis `L`.
    """

    def __init__(self, c: ConfigDict, *, scope: str = "causal", rngs: nnx.Rngs):
        _check(c)
        self.c = c
        self.layers = stack(lambda rngs: Block(c, scope=scope, rngs=rngs), c.L, rngs)
        self.norm = make_norm(c.final_norm, c)

    def __call__(
        self,
        x_BxSxD: Float[Array, "B S D"],
        positions: Positions,
        before: Before = None,
    ) -> Float[Array, "B S D"]:
        """Runs the stack over packed rows.

        Args:
          x_BxSxD: inputs.
          positions: where the positions stand.
          before: a stack of parameters and a function of one layer's share of them and of the residual stream, run
            before each block.
        """
        extra, prepare = before or (None, lambda _, x: x)

        def layer(x, layer, kind):
            block, extra = layer
            return block(prepare(extra, x), positions, kind), None

        x, _ = scan_layers(layer, keep_rows_split(x_BxSxD), (self.layers, extra), self.c)
        return normed(self.norm, x)

    def streams(self, x_BxSxD: Float[Array, "B S D"], positions: Positions) -> Float[Array, "layers B S D"]:
        """The residual stream before the first block and after each of them, without the final norm: `L + 1`."""

        def layer(x, block, kind):
            x = block(x, positions, kind)
            return x, x

        _, after = scan_layers(layer, keep_rows_split(x_BxSxD), self.layers, self.c)
        return jnp.concatenate([x_BxSxD[None], after])

    def empty(self, rows: int, positions: int, new: int, reach: int | None, dtype: DTypeLike) -> Cache:
        """A cache that holds nothing.

        Args:
          rows: `B`.
          positions: of the longest row.
          new: positions that are read at once, at most. They are written before any of them looks back.
          reach: positions that one of them sees at most; None: all.
          dtype: of keys and values.
        """
        seen = positions if reach is None else reach
        if set(self.c.layer_kinds) == {"local"}:
            seen = min(seen, self.c.window)
        return empty_cache(self.c, rows, min(positions, seen + new - 1), dtype)

    def extend(
        self,
        x_BxTxD: Float[Array, "B T D"],
        positions: Positions,
        cache: Cache,
        before: Before = None,
    ) -> tuple[Float[Array, "B T D"], Cache]:
        """Runs the stack on `T` new positions that see each other and what the cache holds.

        Args:
          x_BxTxD, positions: the new positions; a row's first come first, then those that are `NOWHERE`.
          cache: what came before.
          before: as in a call.
        """
        cache = cache.at(positions)
        extra, prepare = before or (None, lambda _, x: x)

        def layer(carry, layer, kind):
            x, cached = carry
            block, extra, number = layer
            return block.extend(prepare(extra, x), positions, kind, cached, number, cache), None

        numbers = jnp.arange(self.c.L, dtype=jnp.int32)
        (x, cached), _ = scan_layers(layer, (x_BxTxD, cache.cached), (self.layers, extra, numbers), self.c)
        return normed(self.norm, x), cache.filled(cached)


def _check(c: ConfigDict) -> None:
    for name, known in (
        ("mixer", MIXERS),
        ("feed_forward", FEED_FORWARDS),
        ("remat", REMAT),
        ("final_norm", NORMS),
        ("pre_norms", NORMS),
        ("post_norms", NORMS),
        ("norm_bias", BIASES),
        ("feed_forward_bias", BIASES),
        ("attention_bias", ATTENTION_BIASES),
        ("residual", RESIDUALS),
    ):
        if c[name] not in known:
            raise ValueError(f"unknown {name} '{c[name]}'; there are {', '.join(known)}")
    unknown = set(c.layer_kinds) - set(LAYER_KINDS)
    if unknown or not c.layer_kinds:
        raise ValueError(f"unknown layer kinds {sorted(unknown)}; there are {', '.join(LAYER_KINDS)}")
    if "local" in c.layer_kinds and c.window < 1 and c.mixer == "attention":
        raise ValueError("local layers need a window: set window to the positions that they see")


def stack(make: Callable[[nnx.Rngs], nnx.Module], layers: int, rngs: nnx.Rngs) -> Any:
    """A module made `layers` times, as one whose parameters have a leading axis `L` for them."""
    keys = jax.random.split(rngs.params(), layers)
    return stacked(jax.vmap(lambda key: make(nnx.Rngs(params=key)))(keys))


def scan_layers(layer: Callable, x: Any, layers: Any, c: ConfigDict) -> tuple[Any, Any]:
    """Scans `x, y = layer(x, layers[i], kind)` over layers.

    Layer kinds repeat over the layers: the scan is over whole repetitions, what is left over is unrolled.

    Args:
      layer: one layer.
      x: the residual stream, and what else each layer hands to the next.
      layers: a tree of arrays with a leading axis `L`.
      c: `L`, `layer_kinds` and `remat`.

    Returns:
      The stream after the last layer, and the stacked `y` of all layers.
    """
    kinds = tuple(c.layer_kinds)
    period, repeats = len(kinds), c.L // len(kinds)

    def group(x, layers):
        ys = []
        for i, kind in enumerate(kinds[: jax.tree.leaves(layers)[0].shape[0]]):
            x, y = _one_layer(layer, i, kind, c.remat)(x, layers)
            ys.append(y)
        return x, jax.tree.map(lambda *y: jnp.stack(y), *ys)

    whole = jax.tree.map(lambda a: a[: repeats * period].reshape(repeats, period, *a.shape[1:]), layers)
    rest = jax.tree.map(lambda a: a[repeats * period :], layers)
    x, ys = jax.lax.scan(group, x, whole)
    ys = jax.tree.map(lambda a: a.reshape(repeats * period, *a.shape[2:]), ys)
    if c.L % period:
        x, last = group(x, rest)
        ys = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), ys, last)
    return x, ys


def _one_layer(layer: Callable, i: int, kind: str, remat: str) -> Callable:
    """Layer `i` of a period as a function of the stream and the period's parameters, rematerialised by itself.

    It takes its parameters inside, so that what is kept for the backward pass is the whole, which is there anyway.
    """

    def one(x, layers):
        return layer(x, jax.tree.map(lambda a: a[i], layers), kind)

    return one if REMAT[remat] is None else jax.checkpoint(one, policy=REMAT[remat])
