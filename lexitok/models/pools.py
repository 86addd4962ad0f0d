"""Pools: the encoder's vectors at byte positions to vectors of units. A new pool is a class and a line in `POOLS`.

`c` is a section of `lexitok.config.stage`. A pool gives `slots` vectors a unit, each as wide as the backbone.
"""

from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.config import width
from lexitok.models import unit_reductions
from lexitok.models.cross_attention import CrossAttention
from lexitok.nn.layers import Project, RmsNorm, rope, spread
from lexitok.nn.parameters import normal, zeros


@runtime_checkable
class Pool(Protocol):
    """A pool.

    Attributes:
      pooled: which positions of a unit are: `all`, or the `last`.
    """

    pooled: str

    def __call__(
        self, h_BxSxE: Float[Array, "B S E"], of_BxS: Int[Array, "B S"], relative_BxS: Int[Array, "B S"], units: int
    ) -> Float[Array, "B W D"]:
        """The vectors of units.

        Args:
          h_BxSxE: vectors at positions.
          of_BxS: the unit of each position, ascending; `units` for none.
          relative_BxS: position of a byte for the pool, see `lexitok.models.stage`.
          units: how many units a row has room for.

        Returns:
          Vectors, `[B, units * slots, D]`, the slots of a unit together; of units that do not exist, anything finite.
        """
        ...


class SlotPool(nnx.Module):
    """The encoder's output at the slots that open the unit, projected (HAT v1, arXiv 2501.10322 section 2; with several
    slots, Learn Your Tokens, arXiv 2310.11628).

    The encoder has to see the whole unit from there: it is bidirectional within the unit.
    """

    pooled = "all"

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.slots = c.slots
        self.project = Project("E D", width(c.encoder), width(c.backbone), rngs=rngs)

    def __call__(self, h_BxSxE, of_BxS, relative_BxS, units):
        del relative_BxS
        B, S, _ = h_BxSxE.shape
        first = unit_reductions.first_positions(of_BxS, units)
        at = jnp.minimum(first[..., None] + jnp.arange(self.slots, dtype=jnp.int32)[None, None], S - 1)
        return self.project(unit_reductions.take_units(h_BxSxE, at.reshape(B, units * self.slots)))


class LatentQueryPool(nnx.Module):
    """Cross-attention from one learned query to the positions of a unit (HAT v2, reference/models.md 1.2).

    With a single query, attention is a score a head for each byte, a softmax over the unit, and a weighted sum: no
    attention kernel. Queries and keys are rotated by the position of a key relative to the query.
    """

    pooled = "all"

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        E, D, H = width(c.encoder), c.backbone.D, c.backbone.H
        if D % (2 * H):
            raise ValueError(
                f"pool 'latent_query' cannot share the backbone's D={D} out to H={H} heads of an even width"
            )
        N = D // H  # not that of the backbone's heads, which need not add up to D
        self.rope_base = c.backbone.rope_base
        self.latent = normal(rngs, "D", (D,), 1)
        self.queries = normal(rngs, "D D", (D, D), D)
        self.wk = normal(rngs, "E H N", (E, H, N), E)
        self.wv = normal(rngs, "E H N", (E, H, N), E)
        self.wo = normal(rngs, "H N D", (H, N, D), D)

    def __call__(self, h_BxSxE, of_BxS, relative_BxS, units):
        dtype = h_BxSxE.dtype
        _, H, N = self.wk.shape
        q_HxN = (self.latent[...] @ self.queries[...]).reshape(H, N).astype(dtype)
        k = rope(jnp.einsum("BSE,EHN->BSHN", h_BxSxE, self.wk[...].astype(dtype)), relative_BxS, base=self.rope_base)
        scores_BxSxH = jnp.einsum("BSHN,HN->BSH", k, q_HxN, preferred_element_type=jnp.float32) * N**-0.5
        weights = unit_reductions.unit_softmax(scores_BxSxH, of_BxS, units).astype(dtype)
        v = jnp.einsum("BSE,EHN->BSHN", h_BxSxE, self.wv[...].astype(dtype))
        mixed = unit_reductions.unit_sum(weights[..., None] * v, of_BxS, units)
        return jnp.einsum("BWHN,HND->BWD", mixed, self.wo[...].astype(dtype))


class LastPool(nnx.Module):
    """The encoder's output at the last position of the unit, made as wide as the backbone.

    `c.widen` says how: `zeros` behind it (SpaceByte), a `learned` vector behind it (H-Net; none where the widths are
    equal), a linear map (`project`), one with a bias (`project_bias`, Bolmo), or one behind a norm (`project_normed`,
    AU-Net).
    """

    pooled = "last"

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.widen = make_widen(c, rngs)

    def __call__(self, h_BxSxE, of_BxS, relative_BxS, units):
        del relative_BxS
        return self.widen(unit_reductions.take_units(h_BxSxE, unit_reductions.last_positions(of_BxS, units)))


class MeanPool(nnx.Module):
    """The mean of the encoder's outputs in the unit (dynamic pooling, arXiv 2211.09761), widened as by `LastPool`."""

    pooled = "all"

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.widen = make_widen(c, rngs)

    def __call__(self, h_BxSxE, of_BxS, relative_BxS, units):
        del relative_BxS
        total = unit_reductions.unit_sum(h_BxSxE.astype(jnp.float32), of_BxS, units)
        count = unit_reductions.unit_sum(jnp.ones_like(of_BxS, jnp.float32), of_BxS, units)
        return self.widen((total / jnp.maximum(count, 1.0)[..., None]).astype(h_BxSxE.dtype))


class MaxCrossPool(nnx.Module):
    """BLT's pool: the maximum over the unit makes `c.cross.vectors` queries, which attend to the unit's bytes.

    (arXiv 2412.09871 section 3.2; as released: after the last encoder layer, and with the queries added twice.) The
    queries' outputs together are the unit's vector, projected where that is not the width of the backbone.
    """

    pooled = "all"

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        E, D, k = width(c.encoder), width(c.backbone), c.cross.vectors
        self.queries = Project("E E", E, k * E, rngs=rngs)
        self.attend = CrossAttention(c, E, rngs=rngs)
        self.project = Project("E D", k * E, D, rngs=rngs) if k * E != D else None

    def __call__(self, h_BxSxE, of_BxS, relative_BxS, units):
        del relative_BxS
        B, _, E = h_BxSxE.shape
        q_BxWxkxE = self.queries(unit_reductions.unit_max(h_BxSxE, of_BxS, units)).reshape(B, units, -1, E)
        out = self.attend.units_to_bytes(q_BxWxkxE, h_BxSxE, of_BxS).reshape(B, units, -1)
        return out if self.project is None else self.project(out)


class Pad(nnx.Module):
    """`D` wide by zeros, or by a learned vector that starts as zeros, behind what there is."""

    def __init__(self, E: int, D: int, kind: str):
        if D < E:
            raise ValueError(f"widen '{kind}' needs a backbone at least as wide as the encoder, got {D} and {E}")
        self.more = D - E
        self.pad = zeros("D", D - E) if kind == "learned" and D > E else None

    def __call__(self, x_BxWxE: Float[Array, "B W E"]) -> Float[Array, "B W D"]:
        B, W, _ = x_BxWxE.shape
        pad = jnp.zeros((B, W, self.more), x_BxWxE.dtype)
        return jnp.concatenate([x_BxWxE, pad if self.pad is None else spread(self.pad[...], pad)], axis=-1)


class NormedProject(nnx.Module):
    """A norm and a linear map."""

    def __init__(self, c: ConfigDict, E: int, D: int, *, rngs: nnx.Rngs):
        self.norm = RmsNorm(E, eps=c.encoder.norm_eps, axis="E")
        self.project = Project("E D", E, D, rngs=rngs)

    def __call__(self, x: Float[Array, "*B E"]) -> Float[Array, "*B D"]:
        return self.project(self.norm(x))


WIDEN = {
    "zeros": lambda c, E, D, rngs: Pad(E, D, "zeros"),
    "learned": lambda c, E, D, rngs: Pad(E, D, "learned"),
    "project": lambda c, E, D, rngs: Project("E D", E, D, rngs=rngs),
    "project_bias": lambda c, E, D, rngs: Project("E D", E, D, rngs=rngs, bias="learned"),
    "project_normed": lambda c, E, D, rngs: NormedProject(c, E, D, rngs=rngs),
}


def make_widen(c: ConfigDict, rngs: nnx.Rngs) -> nnx.Module:
    """From the encoder's width to the backbone's, by `c.widen`."""
    if c.widen not in WIDEN:
        raise ValueError(f"unknown widen '{c.widen}'; there are {', '.join(WIDEN)}")
    return WIDEN[c.widen](c, width(c.encoder), width(c.backbone), rngs)


POOLS = {
    "slot": SlotPool,
    "latent_query": LatentQueryPool,
    "last": LastPool,
    "mean": MeanPool,
    "max_cross": MaxCrossPool,
}
