"""The transformer stack of every model: one block, stacked over layers and scanned.

By its `lexitok.config.transformer` section it is the shape of Llama 3, Qwen 3 or Gemma 3. It has no embedding and no
read-out: those are interfaces.
"""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn.attention import Attention
from lexitok.nn.cache import KVCache
from lexitok.nn.layers import FeedForward, RmsNorm
from lexitok.ops.attention import Places
from lexitok.sharding import keep_rows_split

REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


class Block(nnx.Module):
    """Attention and feed-forward, each behind a norm; with `post_norms`, also before it joins the residual stream."""

    def __init__(self, c: ConfigDict, *, scope: str, rngs: nnx.Rngs):
        if c.post_norms not in ("none", "rms"):
            raise ValueError(f"unknown post_norms '{c.post_norms}'; there are none, rms")

        def norm():
            return RmsNorm(c.D, eps=c.norm_eps, kind=c.norm_scale)

        self.attention_norm = norm()
        self.attention = Attention(c, scope=scope, rngs=rngs)
        self.feed_forward_norm = norm()
        self.feed_forward = FeedForward(c, rngs=rngs)
        post = c.post_norms == "rms"
        self.attention_post_norm = norm() if post else None
        self.feed_forward_post_norm = norm() if post else None

    def _join(self, x, y, post_norm):
        return keep_rows_split(x + (y if post_norm is None else post_norm(y)))

    def __call__(self, x_BxSxD: Float[Array, "B S D"], places: Places, kind: str) -> Float[Array, "B S D"]:
        y = self.attention(self.attention_norm(x_BxSxD), places, kind)
        x = self._join(x_BxSxD, y, self.attention_post_norm)
        return self._join(x, self.feed_forward(self.feed_forward_norm(x)), self.feed_forward_post_norm)

    def extend(self, x_BxTxD: Float[Array, "B T D"], places: Places, kv: Any, layer: Array, cache: KVCache, kind: str):
        """As a call on new positions behind those in the cache; returns the output and all layers' keys and values."""
        q, k, v = self.attention.project(self.attention_norm(x_BxTxD), places, kind)
        kv = cache.write(kv, layer, (k, v))
        y = self.attention.mix(q, kv[0][layer], kv[1][layer], places, cache.places, kind)
        x = self._join(x_BxTxD, y, self.attention_post_norm)
        return self._join(x, self.feed_forward(self.feed_forward_norm(x)), self.feed_forward_post_norm), kv


class Transformer(nnx.Module):
    """`L` blocks and a final norm.

    Attributes:
      layers: a `Block` whose every parameter has a leading axis `L`.
    """

    def __init__(self, c: ConfigDict, *, scope: str = "causal", rngs: nnx.Rngs):
        unknown = set(c.layer_kinds) - {"global", "local"}
        if unknown or not c.layer_kinds:
            raise ValueError(f"unknown layer kinds {sorted(unknown)}; a layer is global or local")
        if c.remat not in REMAT:
            raise ValueError(f"unknown remat '{c.remat}'; there are {', '.join(REMAT)}")
        if c.final_norm not in ("rms", "none"):
            raise ValueError(f"unknown final_norm '{c.final_norm}'; there are rms, none")
        if "local" in c.layer_kinds and c.window < 1:
            raise ValueError("local layers need a window: set window to the positions that they see")
        self.c = c
        self.layers = stack(lambda rngs: Block(c, scope=scope, rngs=rngs), c.L, rngs)
        self.norm = RmsNorm(c.D, eps=c.norm_eps, kind=c.norm_scale) if c.final_norm == "rms" else None

    def __call__(
        self,
        x_BxSxD: Float[Array, "B S D"],
        places: Places,
        before: tuple[Any, Callable[[Any, Array], Array]] | None = None,
    ) -> Float[Array, "B S D"]:
        """Runs the stack over packed rows.

        Args:
          x_BxSxD: inputs.
          places: where the positions stand.
          before: a stack of parameters and a function of one layer's share of them and of the residual stream, run
            before each block.
        """
        extra, prepare = before or (None, lambda _, x: x)

        def layer(x, layer, kind):
            block, extra = layer
            return block(prepare(extra, x), places, kind), None

        x, _ = scan_layers(layer, keep_rows_split(x_BxSxD), (self.layers, extra), self.c)
        return self._final(x)

    def extend(
        self,
        x_BxTxD: Float[Array, "B T D"],
        places: Places,
        cache: KVCache,
        slots_BxT: Array,
        before: tuple[Any, Callable[[Any, Array], Array]] | None = None,
    ) -> tuple[Float[Array, "B T D"], KVCache]:
        """Runs the stack on `T` new positions that see each other and what the cache holds.

        Args:
          x_BxTxD, places: the new positions.
          cache: what came before.
          slots_BxT: where in the cache the new positions go; those outside of it are not kept.
          before: as in a call.
        """
        cache = cache.at(slots_BxT, places)
        extra, prepare = before or (None, lambda _, x: x)

        def layer(carry, layer, kind):
            x, kv = carry
            block, extra, number = layer
            return block.extend(prepare(extra, x), places, kv, number, cache, kind), None

        numbers = jax.numpy.arange(self.c.L, dtype=jax.numpy.int32)
        (x, kv), _ = scan_layers(layer, (x_BxTxD, cache.kv), (self.layers, extra, numbers), self.c)
        return self._final(x), cache.filled(kv)

    def _final(self, x):
        return x if self.norm is None else self.norm(x)


def stack(make: Callable[[nnx.Rngs], nnx.Module], layers: int, rngs: nnx.Rngs) -> Any:
    """A module made `layers` times, as one whose parameters have a leading axis for them."""
    keys = jax.random.split(rngs.params(), layers)
    return jax.vmap(lambda key: make(nnx.Rngs(params=key)))(keys)


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
            x, y = layer(x, jax.tree.map(lambda a, i=i: a[i], layers), kind)
            ys.append(y)
        return x, jax.tree.map(lambda *y: jax.numpy.stack(y), *ys)

    if REMAT[c.remat] is not None:
        group = jax.checkpoint(group, policy=REMAT[c.remat])
    whole = jax.tree.map(lambda a: a[: repeats * period].reshape(repeats, period, *a.shape[1:]), layers)
    rest = jax.tree.map(lambda a: a[repeats * period :], layers)
    x, ys = jax.lax.scan(group, x, whole)
    ys = jax.tree.map(lambda a: a.reshape(repeats * period, *a.shape[2:]), ys)
    if c.L % period:
        x, last = group(x, rest)
        ys = jax.tree.map(lambda a, b: jax.numpy.concatenate([a, b]), ys, last)
    return x, ys
