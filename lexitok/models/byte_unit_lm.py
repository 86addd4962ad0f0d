"""`ByteUnitLM`: bytes are pooled into units for the backbone, whose output guides the prediction of the next bytes.

HAT v1 and HAT v2 are settings of it (`configs/hat.py`). Everything that depends on how text is cut into units is in the
batch's two index arrays.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Units
from lexitok.interfaces import Table
from lexitok.models import segments
from lexitok.models.pools import POOLS
from lexitok.models.unpools import UNPOOLS
from lexitok.nn.layers import normal
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Places
from lexitok.ops.linear_cross_entropy import Scores

SCOPES = ("window", "unit")
POOL_POSITIONS = ("offset", "published")


class ByteUnitLM(nnx.Module):
    """Encoder, pool, backbone, unpool, decoder; `c` is a `lexitok.config.byte_unit_lm` section, frozen."""

    def __init__(self, c: ConfigDict, V: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        _check(c)
        self.c = c
        self.dtype = dtype
        self.interface = Table(V, c.encoder.D, softcap=c.logit_softcap, rngs=rngs)
        # Only a slot looks ahead in its unit; what pools complete units of a causal encoder stays causal within them.
        self.encoder = Transformer(c.encoder, scope="full" if c.pool == "slot" else "causal", rngs=rngs)
        self.pool = POOLS[c.pool](c, rngs=rngs)
        self.backbone = Transformer(c.backbone, rngs=rngs)
        self.first = nnx.Param(normal(rngs, (c.backbone.D,), 1)[...])
        self.unpool = UNPOOLS[c.unpool](c, rngs=rngs)
        self.decoder = Transformer(c.decoder, rngs=rngs)

    def features(self, batch: Batch) -> dict[str, Array]:
        """What is computed on the way.

        Returns:
          `embedded`, `encoded` and `hidden`, `[B, S, E]`; `units` and `guides`, `[B, W, D]`.
        """
        units = self.units_of(batch)
        embedded = self.interface.embed(batch.symbols_BxS, self.dtype)
        encoded = self.encoder(embedded, local_places(self.c.encoder.scope, batch))
        relative = relative_positions(self.c.pool_positions, batch.positions_BxS, units)
        unit_vectors = self.pool(encoded, units.of_BxS, relative, units.segments_BxW.shape[1])
        guides = self.backbone(unit_vectors, Places(units.segments_BxW, units.positions_BxW))
        x, before = self.unpool(
            embedded, encoded, self.with_first(guides), guide_index(units), segments.opens_unit(units.of_BxS)
        )
        hidden = self.decoder(x, local_places(self.c.decoder.scope, batch), before)
        return {"embedded": embedded, "encoded": encoded, "units": unit_vectors, "guides": guides, "hidden": hidden}

    def logits(self, batch: Batch) -> Float[Array, "B S V"]:
        """Float32 logits of the symbol after each position."""
        return self.interface.logits(self.features(batch)["hidden"])

    def scores(self, batch: Batch, chunk: int = 512) -> Scores:
        """Nats of the batch's targets."""
        return self.interface.scores(self.features(batch)["hidden"], batch.targets_BxS, chunk)

    def units_of(self, batch: Batch) -> Units:
        """The batch's units.

        Raises:
          ValueError: the batch has none.
        """
        if batch.units is None:
            raise ValueError("a byte-unit model needs a batch with units: set text.kind to 'byte_units'")
        return batch.units

    def with_first(self, guides_BxWxD: Float[Array, "B W D"]) -> Float[Array, "B V D"]:
        """Guides, and behind them the vector of positions that may see none."""
        first = jnp.broadcast_to(self.first[...].astype(guides_BxWxD.dtype), (len(guides_BxWxD), 1, self.c.backbone.D))
        return jnp.concatenate([guides_BxWxD, first], axis=1)


def guide_index(units: Units) -> Int[Array, "B S"]:
    """Index into guides with the vector for none behind them."""
    return jnp.where(units.guide_BxS < 0, units.segments_BxW.shape[1], units.guide_BxS)


def local_places(scope: str, batch: Batch) -> Places:
    """Where bytes stand for a local stack: in their piece, or each unit for itself."""
    if scope == "window":
        return Places(batch.segments_BxS, batch.positions_BxS)
    assert batch.units is not None
    return Places(batch.units.of_BxS, batch.positions_BxS)


def relative_positions(kind: str, positions_BxS: Int[Array, "B S"], units: Units) -> Int[Array, "B S"]:
    """A byte's position for the pool: `offset` in its unit, or, as `published`, its position less that of its unit."""
    W = units.segments_BxW.shape[1]
    if kind == "published":
        start_BxW = units.positions_BxW
    else:
        start_BxW = jnp.take_along_axis(positions_BxS, segments.first_positions(units.of_BxS, W), axis=1)
    return positions_BxS - jnp.take_along_axis(start_BxW, jnp.minimum(units.of_BxS, W - 1), axis=1)


def _check(c: ConfigDict) -> None:
    for name, value, known in (
        ("pool", c.pool, POOLS),
        ("unpool", c.unpool, UNPOOLS),
        ("encoder.scope", c.encoder.scope, SCOPES),
        ("decoder.scope", c.decoder.scope, SCOPES),
        ("pool_positions", c.pool_positions, POOL_POSITIONS),
    ):
        if value not in known:
            raise ValueError(f"unknown {name} '{value}'; there are {', '.join(known)}")
    if c.pool == "slot" and c.encoder.scope != "unit":
        raise ValueError("pool 'slot' needs encoder.scope 'unit': its bidirectional encoder must not leave the unit")
    if c.unpool == "prefix" and c.encoder.D != c.decoder.D:
        raise ValueError(f"unpool 'prefix' shares embeddings: encoder.D={c.encoder.D}, decoder.D={c.decoder.D}")
