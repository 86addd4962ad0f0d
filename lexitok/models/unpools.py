"""Unpools: what the decoder gets to know of the backbone's output. A new unpool is a class and a line in `UNPOOLS`.

A guide is the backbone's output at the newest unit that a position may see; guides come as `[B, W + 1, D]`, the last
being the learned vector of positions that may see none.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.models import segments
from lexitok.nn.layers import Project, RmsNorm
from lexitok.nn.transformer import stack

Before = tuple[Any, Callable[[Any, Array], Array]] | None


class PrefixUnpool(nnx.Module):
    """The guide takes the place of the embedding at the position that opens a unit (HAT v1)."""

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.project = Project(c.backbone.D, c.decoder.D, rngs=rngs)

    def __call__(
        self,
        embedded_BxSxE: Float[Array, "B S E"],
        encoded_BxSxE: Float[Array, "B S E"],
        guides_BxVxD: Float[Array, "B V D"],
        guide_BxS: Int[Array, "B S"],
        opens_BxS: Bool[Array, "B S"],
    ) -> tuple[Float[Array, "B S E"], Before]:
        """The decoder's input, and what is done before each of its layers (nothing)."""
        del encoded_BxSxE
        guides = segments.take_units(self.project(guides_BxVxD), guide_BxS)
        return jnp.where(opens_BxS[..., None], guides, embedded_BxSxE), None


class GuideLayer(nnx.Module):
    """A guide's contribution to one decoder layer.

    In the published model it is cross-attention in which every byte sees one key, so that the softmax is 1 and only the
    values matter. `published` keeps the query and key weights, which have no effect, so that the parameters are those
    of the checkpoints.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        D, E = c.backbone.D, c.decoder.D
        self.norm = RmsNorm(D, eps=c.backbone.norm_eps)
        self.values = Project(D, E, rngs=rngs)
        self.out = Project(E, E, rngs=rngs)
        if c.unpool_weights not in ("needed", "published"):
            raise ValueError(f"unknown unpool_weights '{c.unpool_weights}'; there are needed, published")
        published = c.unpool_weights == "published"
        self.query_norm = RmsNorm(E, eps=c.backbone.norm_eps) if published else None
        self.queries = Project(E, E, rngs=rngs) if published else None
        self.keys = Project(D, E, rngs=rngs) if published else None

    def __call__(self, guides_BxVxD: Float[Array, "B V D"]) -> Float[Array, "B V E"]:
        return self.out(self.values(self.norm(guides_BxVxD)))


class GuideAdd(nnx.Module):
    """The guide, normalised and projected anew for each decoder layer, is added before it (HAT v2).

    The products run at the rate of units; only their results are spread over the bytes. The decoder goes on from the
    encoder's output.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        if c.encoder.D != c.decoder.D:
            raise ValueError(f"unpool 'add' needs encoder and decoder of one width, got {c.encoder.D}, {c.decoder.D}")
        self.layers = stack(lambda rngs: GuideLayer(c, rngs=rngs), c.decoder.L, rngs)

    def __call__(
        self,
        embedded_BxSxE: Float[Array, "B S E"],
        encoded_BxSxE: Float[Array, "B S E"],
        guides_BxVxD: Float[Array, "B V D"],
        guide_BxS: Int[Array, "B S"],
        opens_BxS: Bool[Array, "B S"],
    ) -> tuple[Float[Array, "B S E"], Before]:
        """The decoder's input, and what is done before each of its layers."""
        del embedded_BxSxE, opens_BxS

        def add(layer: GuideLayer, x: Array) -> Array:
            return x + segments.take_units(layer(guides_BxVxD), guide_BxS)

        return encoded_BxSxE, (self.layers, add)


UNPOOLS = {"prefix": PrefixUnpool, "add": GuideAdd}
