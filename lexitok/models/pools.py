"""Pools: the encoder's vectors at byte positions to one vector a unit. A new pool is a class and a line in `POOLS`."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.models import segments
from lexitok.nn.layers import Project, normal, rope


class SlotPool(nnx.Module):
    """The encoder's output at the position that opens the unit, projected (HAT v1, arXiv 2501.10322 section 2).

    The encoder has to see the whole unit from there: it is bidirectional within the unit.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        self.project = Project(c.encoder.D, c.backbone.D, rngs=rngs)

    def __call__(
        self, h_BxSxE: Float[Array, "B S E"], of_BxS: Int[Array, "B S"], relative_BxS: Int[Array, "B S"], units: int
    ) -> Float[Array, "B W D"]:
        del relative_BxS
        return self.project(segments.take_units(h_BxSxE, segments.first_positions(of_BxS, units)))


class LatentQueryPool(nnx.Module):
    """Cross-attention from one learned query to the positions of a unit (HAT v2, reference/models.md 1.2).

    With a single query, attention is a score a head for each byte, a softmax over the unit, and a weighted sum: no
    attention kernel. Queries and keys are rotated by the position of a key relative to the query.
    """

    def __init__(self, c: ConfigDict, *, rngs: nnx.Rngs):
        E, D, H, N = c.encoder.D, c.backbone.D, c.backbone.H, c.backbone.N
        if H * N != D:
            raise ValueError(f"pool 'latent_query' needs H*N = D in the backbone, got {H}*{N} and {D}")
        self.rope_base = c.backbone.rope_base
        self.latent = nnx.Param(normal(rngs, (D,), 1)[...])
        self.queries = normal(rngs, (D, D), D)
        self.wk = normal(rngs, (E, H, N), E)
        self.wv = normal(rngs, (E, H, N), E)
        self.wo = normal(rngs, (H, N, D), D)

    def __call__(
        self, h_BxSxE: Float[Array, "B S E"], of_BxS: Int[Array, "B S"], relative_BxS: Int[Array, "B S"], units: int
    ) -> Float[Array, "B W D"]:
        dtype = h_BxSxE.dtype
        _, H, N = self.wk.shape
        q_HxN = (self.latent[...] @ self.queries[...]).reshape(H, N).astype(dtype)
        k = rope(jnp.einsum("BSE,EHN->BSHN", h_BxSxE, self.wk[...].astype(dtype)), relative_BxS, base=self.rope_base)
        scores_BxSxH = jnp.einsum("BSHN,HN->BSH", k, q_HxN, preferred_element_type=jnp.float32) * N**-0.5
        weights = segments.segment_softmax(scores_BxSxH, of_BxS, units).astype(dtype)
        v = jnp.einsum("BSE,EHN->BSHN", h_BxSxE, self.wv[...].astype(dtype))
        mixed = segments.segment_sum(weights[..., None] * v, of_BxS, units)
        return jnp.einsum("BWHN,HND->BWD", mixed, self.wo[...].astype(dtype))


POOLS = {"slot": SlotPool, "latent_query": LatentQueryPool}
