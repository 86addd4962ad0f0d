"""Unpools: what the decoder gets to know of the backbone's output. A new unpool is a class and a line in `UNPOOLS`.

A guide is the backbone's output at the newest unit that a position sees; guides come as `[B, V, D]`, the last being the
vector of positions that see none. `c` is a section of `lexitok.config.stage`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.config import width
from lexitok.models import unit_reductions
from lexitok.models.cross_attention import CrossAttention
from lexitok.nn.layers import Project, RmsNorm
from lexitok.nn.parameters import normal
from lexitok.nn.transformer import Before, stack

_SURE = 1e-4  # probabilities keep this distance from 0 and 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class UnitView:
    """Each position's view of the units, over whole rows as in cached decoding.

    Attributes:
      guide_BxS: index into the guides, of the newest unit that the position sees.
      slot_BxS: which of its unit's slots the position is; -1: none.
      since_BxS: positions since `guide` became another; 0 where it does.
      confidence_BxS: how sure the router was of its decision here, in [0.5, 1]; None: units come by rule.
    """

    guide_BxS: Int[Array, "B S"]
    slot_BxS: Int[Array, "B S"]
    since_BxS: Int[Array, "B S"]
    confidence_BxS: Float[Array, "B S"] | None = None


class Unpool(nnx.Module):
    """What all unpools offer."""

    def __call__(
        self,
        embedded_BxSxE: Float[Array, "B S E"],
        encoded_BxSxE: Float[Array, "B S E"],
        guides_BxVxD: Float[Array, "B V D"],
        view: UnitView,
    ) -> tuple[Float[Array, "B S E"], Before]:
        """The decoder's input, and what is done before each of its layers.

        Args:
          embedded_BxSxE, encoded_BxSxE: what the encoder took, and what it made of it.
          guides_BxVxD: the guides, `slots` vectors of a unit side by side.
          view: of the positions.
        """
        raise NotImplementedError

    def smooth(
        self,
        guides_BxWxD: Float[Array, "B W D"],
        chance_BxW: Float[Array, "B W"] | None,
        opens_BxW: Bool[Array, "B W"],
        previous_Bx1xD: Float[Array, "B 1 D"] | None,
    ) -> Float[Array, "B W D"]:
        """The guides that positions see, from the backbone's outputs: by default, those.

        Args:
          guides_BxWxD: outputs of units in their order.
          chance_BxW: the router's probability that the unit ends where it does; 0 where there is no unit.
          opens_BxW: the unit is the first of its piece.
          previous_Bx1xD: the guide before the first of these, where they go on from others.
        """
        del chance_BxW, opens_BxW, previous_Bx1xD
        return guides_BxWxD


class PrefixUnpool(Unpool):
    """The guides take the positions of the embeddings at the slots that open a unit (HAT v1, Learn Your Tokens)."""

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.slots = c.slots
        self.project = Project("D E", width(c.backbone), width(c.decoder), rngs=rngs)

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del encoded_BxSxE
        B, V, _ = guides_BxVxD.shape
        guides = self.project(guides_BxVxD.reshape(B, V * self.slots, -1))
        own = unit_reductions.take_units(guides, view.guide_BxS * self.slots + jnp.maximum(view.slot_BxS, 0))
        return jnp.where((view.slot_BxS >= 0)[..., None], own, embedded_BxSxE), None


class GuideLayer(nnx.Module):
    """A guide's contribution to one decoder layer.

    In the published model it is cross-attention in which every byte sees one key, so that the softmax is 1 and only the
    values matter. `published` keeps the query and key weights, which have no effect, so that the parameters are those
    of the checkpoints.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        D, E = width(c.backbone), width(c.decoder)
        eps = c.decoder.norm_eps
        self.norm = RmsNorm(D, eps=eps)
        self.values = Project("D E", D, E, rngs=rngs)
        self.out = Project("E E", E, E, rngs=rngs)
        if c.unpool_weights not in ("needed", "published"):
            raise ValueError(f"unknown unpool_weights '{c.unpool_weights}'; there are needed, published")
        published = c.unpool_weights == "published"
        self.query_norm = RmsNorm(E, eps=eps, axis="E") if published else None
        self.queries = Project("E E", E, E, rngs=rngs) if published else None
        self.keys = Project("D E", D, E, rngs=rngs) if published else None

    def __call__(self, guides_BxVxD: Float[Array, "B V D"]) -> Float[Array, "B V E"]:
        return self.out(self.values(self.norm(guides_BxVxD)))


class GuideAdd(Unpool):
    """The guide, normalised and projected anew for each decoder layer, is added before it (HAT v2).

    The products run at the rate of units; only their results are spread over the bytes. The decoder goes on from the
    encoder's output.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.layers = stack(lambda rngs: GuideLayer(c, rngs=rngs), c.decoder.L, rngs)

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del embedded_BxSxE

        def add(layer: GuideLayer, x: Array) -> Array:
            return x + unit_reductions.take_units(layer(guides_BxVxD), view.guide_BxS)

        return encoded_BxSxE, (self.layers, add)


class CrossUnpool(Unpool):
    """Before each decoder layer, bytes attend to the slots that a guide is made into (BLT, arXiv 2412.09871, 3.3)."""

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        E, D = width(c.decoder), width(c.backbone)
        self.slots = c.cross.vectors
        self.project = Project("D E", D, self.slots * E, rngs=rngs)
        self.layers = stack(lambda rngs: CrossAttention(c, E, rngs=rngs), c.decoder.L, rngs)

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del embedded_BxSxE
        B, V, _ = guides_BxVxD.shape
        guides = self.project(guides_BxVxD).reshape(B, V, self.slots, -1)

        def attend(layer: CrossAttention, x: Array) -> Array:
            return layer.bytes_to_unit(x, guides, view.guide_BxS)

        return encoded_BxSxE, (self.layers, attend)


class LatestUnpool(Unpool):
    """The guide and a linear map of the encoder's output, added (Bolmo, arXiv 2512.15586)."""

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.narrow = make_narrow(c, rngs)
        self.project = Project("E E", width(c.encoder), width(c.decoder), rngs=rngs, bias="learned")

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del embedded_BxSxE
        return self.project(encoded_BxSxE) + unit_reductions.take_units(self.narrow(guides_BxVxD), view.guide_BxS), None


class ScatterUnpool(Unpool):
    """The guide is added at the one position at which it becomes another (SpaceByte, arXiv 2404.14408)."""

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.narrow = make_narrow(c, rngs)

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del embedded_BxSxE
        guides = unit_reductions.take_units(self.narrow(guides_BxVxD), view.guide_BxS)
        return encoded_BxSxE + jnp.where((view.since_BxS == 0)[..., None], guides, 0), None


class OffsetUnpool(Unpool):
    """The guide through a shared linear map and one for the offset from where it became another, modulo `c.offsets`,
    is added to the encoder's output (AU-Net, arXiv 2506.14761, section 2.3)."""

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        D, E = width(c.backbone), width(c.decoder)
        self.norm = RmsNorm(D, eps=c.decoder.norm_eps)
        self.project = Project("D E", D, E, rngs=rngs)
        self.by_offset = normal(rngs, "O D E", (c.offsets, D, E), D)

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del embedded_BxSxE
        B, _, E = encoded_BxSxE.shape
        guides = self.norm(guides_BxVxD)
        shared = unit_reductions.take_units(self.project(guides), view.guide_BxS)
        # At the rate of units, one product for each offset: fewer than one for each byte where units are long.
        each = jnp.einsum("BVD,ODE->BVOE", guides, self.by_offset[...].astype(guides.dtype))
        O = each.shape[2]
        index = view.guide_BxS * O + view.since_BxS % O
        return encoded_BxSxE + shared + unit_reductions.take_units(each.reshape(B, -1, E), index), None


class SmoothedUnpool(Unpool):
    """H-Net's de-chunking (arXiv 2507.07955, section 2.2): guides are smoothed over units by the router's
    probabilities, scaled by its confidence, of which only the gradient is felt, and added to a linear map of the
    encoder's output.

    That map starts as zero.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.narrow = make_narrow(c, rngs)
        self.residual = Project("E E", width(c.encoder), width(c.decoder), rngs=rngs, gain=0.0, bias="learned")

    def __call__(self, embedded_BxSxE, encoded_BxSxE, guides_BxVxD, view):
        del embedded_BxSxE
        guides = unit_reductions.take_units(self.narrow(guides_BxVxD), view.guide_BxS)
        if view.confidence_BxS is not None:
            one = 1.0 + view.confidence_BxS - jax.lax.stop_gradient(view.confidence_BxS)
            guides = guides * one.astype(guides.dtype)[..., None]
        return self.residual(encoded_BxSxE) + guides, None

    def smooth(self, guides_BxWxD, chance_BxW, opens_BxW, previous_Bx1xD):
        if chance_BxW is None:
            return guides_BxWxD
        return smoothed(guides_BxWxD, chance_BxW, opens_BxW, previous_Bx1xD)


def smoothed(
    x_BxWxD: Float[Array, "B W D"],
    chance_BxW: Float[Array, "B W"],
    opens_BxW: Bool[Array, "B W"],
    previous_Bx1xD: Float[Array, "B 1 D"] | None = None,
) -> Float[Array, "B W D"]:
    """`y_w = p_w x_w + (1 - p_w) y_{w-1}`, in float32 (H-Net, equation 5).

    Args:
      x_BxWxD: vectors of units.
      chance_BxW: `p`; kept from 0 and 1, but where it is 0, which leaves `y` as it was.
      opens_BxW: `y` before this unit is zero.
      previous_Bx1xD: `y` before the first unit; None: zero.
    """
    p = jnp.where(chance_BxW > 0, jnp.clip(chance_BxW, _SURE, 1.0 - _SURE), 0.0)[..., None]
    decay = jnp.where(opens_BxW[..., None], 0.0, 1.0 - p)
    new = p * x_BxWxD.astype(jnp.float32)
    if previous_Bx1xD is not None:
        new = new.at[:, :1].add(decay[:, :1] * previous_Bx1xD.astype(jnp.float32))

    def then(a, b):
        return a[0] * b[0], b[0] * a[1] + b[1]

    return jax.lax.associative_scan(then, (decay, new), axis=1)[1].astype(x_BxWxD.dtype)


class First(nnx.Module):
    """The first of what a vector holds, as much of it as the decoder is wide."""

    def __init__(self, E: int):
        self.E = E

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B E"]:
        return x[..., : self.E]


NARROW = ("first", "project")


def make_narrow(c: ConfigDict, rngs: nnx.Rngs) -> Any:
    """From the backbone's width to the decoder's, by `c.narrow`: the `first` of it, or a linear map (`project`)."""
    D, E = width(c.backbone), width(c.decoder)
    if c.narrow not in NARROW:
        raise ValueError(f"unknown narrow '{c.narrow}'; there are {', '.join(NARROW)}")
    if c.narrow == "project":
        return Project("D E", D, E, rngs=rngs)
    return First(E)


UNPOOLS: dict[str, Any] = {
    "prefix": PrefixUnpool,
    "add": GuideAdd,
    "cross": CrossUnpool,
    "latest": LatestUnpool,
    "scatter": ScatterUnpool,
    "offset": OffsetUnpool,
    "smoothed": SmoothedUnpool,
}
