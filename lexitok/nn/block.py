"""One layer of a stack: a mixer, which lets positions see each other, and a feed-forward."""

from typing import Any

from flax import nnx
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.nn import mixers
from lexitok.nn.cache import Cache
from lexitok.nn.layers import FeedForward, make_norm, normed
from lexitok.ops.attention import Positions
from lexitok.sharding import keep_rows_split


class Block(nnx.Module):
    """A mixer and a feed-forward, with norms before (`pre_norms`), and before they join the residual stream.

    The feed-forward reads what the mixer has added to, or, where `c.residual` is `parallel`, what the mixer reads.
    """

    def __init__(self, c: ConfigDict, *, scope: str, rngs: nnx.Rngs):
        self.residual = c.residual
        feeds = c.feed_forward != "none"
        self.mixer_norm = make_norm(c.pre_norms, c)
        self.mixer = mixers.make_mixer(c, scope, rngs)
        self.feed_forward_norm = make_norm(c.pre_norms, c) if feeds else None
        self.feed_forward = FeedForward(c, rngs=rngs) if feeds else None
        self.mixer_post_norm = make_norm(c.post_norms, c)
        self.feed_forward_post_norm = make_norm(c.post_norms, c) if feeds else None

    def __call__(self, x_BxSxD: Float[Array, "B S D"], positions: Positions, kind: str) -> Float[Array, "B S D"]:
        y = mixers.mix(self.mixer, normed(self.mixer_norm, x_BxSxD), positions, kind)
        return self._join(x_BxSxD, normed(self.mixer_post_norm, y))

    def extend(
        self, x_BxTxD: Float[Array, "B T D"], positions: Positions, kind: str, cached: Any, layer: Array, cache: Cache
    ):
        """As a call on new positions behind those in the cache; returns the output and what all layers hold."""
        y, cached = mixers.extend(self.mixer, normed(self.mixer_norm, x_BxTxD), positions, kind, cached, layer, cache)
        return self._join(x_BxTxD, normed(self.mixer_post_norm, y)), cached

    def _join(self, x: Array, mixed: Array) -> Array:
        out = keep_rows_split(x + mixed)
        if self.feed_forward is None:
            return out
        y = self.feed_forward(normed(self.feed_forward_norm, x if self.residual == "parallel" else out))
        return keep_rows_split(out + normed(self.feed_forward_post_norm, y))
