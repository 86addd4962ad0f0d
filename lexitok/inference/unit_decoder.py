"""`ByteUnitLM`, symbol after symbol: the local stacks run for each, the backbone once for each unit that is complete.

The order within a call: the encoder reads the new symbols; the units that are complete are pooled and go through the
backbone; the decoder reads the new symbols, each with the newest guide that it may see.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.inference.places import NOWHERE, places, ring_size, ring_slots
from lexitok.models.byte_unit_lm import ByteUnitLM
from lexitok.nn.cache import KVCache
from lexitok.ops.attention import Places


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class UnitState:
    """What is kept of the symbols read.

    Attributes:
      encoder, decoder, backbone: keys and values. The encoder has none where it looks ahead in its unit: it is run on
        whole units when they are complete.
      recent_BxSxE: by position, what units are made of: the encoder's output, or where it has no cache, its input.
      guide_Bx1xD: the backbone's output at the newest unit; at first, the vector for none.
    """

    encoder: KVCache | None
    decoder: KVCache
    backbone: KVCache
    recent_BxSxE: Float[Array, "B S E"]
    guide_Bx1xD: Float[Array, "B 1 D"]


def empty(model: ByteUnitLM, rows: int, symbols: int, units: int, longest: int, chunk: int, closes: int) -> UnitState:
    """The state of rows that have read nothing.

    Args:
      rows: `B`.
      symbols, units: what a row has room for.
      longest: positions of the longest unit.
      chunk, closes: symbols that are read and units that are closed at once, at most.
    """
    c, dtype = model.c, model.dtype

    def local(stack: ConfigDict) -> KVCache:
        reach = longest if stack.scope == "unit" else None
        return KVCache.empty(stack, rows, ring_size(stack, symbols, chunk, reach), dtype)

    return UnitState(
        encoder=None if c.pool == "slot" else local(c.encoder),
        decoder=local(c.decoder),
        backbone=KVCache.empty(c.backbone, rows, ring_size(c.backbone, units, closes), dtype),
        recent_BxSxE=jnp.zeros((rows, symbols, c.encoder.D), dtype),
        guide_Bx1xD=jnp.tile(model.first[...].astype(dtype), (rows, 1, 1)),
    )


def extend(
    model: ByteUnitLM,
    state: UnitState,
    reads_BxTx5: Int[Array, "B T 5"],
    closes_BxCx3: Int[Array, "B C 3"],
    longest: int,
) -> tuple[UnitState, Float[Array, "B T E"]]:
    """Reads symbols and closes units.

    Args:
      reads_BxTx5, closes_BxCx3: see `rows.Call`.
      longest: positions of the longest unit.

    Returns:
      The new state, and what the read-out takes, at each position.
    """
    symbols, positions, units, opens, guide = (reads_BxTx5[..., i] for i in range(5))
    embedded = model.interface.embed(jnp.maximum(symbols, 0), model.dtype)
    encoded, encoder = embedded, state.encoder
    if encoder is not None:
        at = _local_places(model.c.encoder, positions, units)
        encoded, encoder = model.encoder.extend(embedded, at, encoder, ring_slots(positions, encoder))
    recent = _keep(state.recent_BxSxE, positions, encoded)
    backbone, guides = state.backbone, state.guide_Bx1xD
    if closes_BxCx3.shape[1]:
        vectors = _pool(model, recent, closes_BxCx3, longest)
        index = closes_BxCx3[..., 0]
        new, backbone = model.backbone.extend(vectors, places(index), backbone, ring_slots(index, backbone))
        guides = jnp.concatenate([guides, new], axis=1)
    # Of what `closes` gives a row, the last is the newest guide; guide 0 is the one from before.
    newest = (closes_BxCx3[..., 0] >= 0).sum(axis=1, dtype=jnp.int32)
    x, before = model.unpool(embedded, encoded, guides, jnp.maximum(guide, 0), opens == 1)
    at = _local_places(model.c.decoder, positions, units)
    hidden, decoder = model.decoder.extend(x, at, state.decoder, ring_slots(positions, state.decoder), before)
    guide_Bx1xD = jnp.take_along_axis(guides, newest[:, None, None], axis=1)
    return UnitState(encoder, decoder, backbone, recent, guide_Bx1xD), hidden


def _local_places(stack: ConfigDict, positions_BxT: Array, units_BxT: Array) -> Places:
    return places(positions_BxT, units_BxT if stack.scope == "unit" else None)


def _keep(held_BxSxE: Array, positions_BxT: Array, new_BxTxE: Array) -> Array:
    B, S, _ = held_BxSxE.shape
    slots = jnp.where(positions_BxT < 0, S, positions_BxT)
    return held_BxSxE.at[jnp.arange(B, dtype=jnp.int32)[:, None], slots].set(new_BxTxE, mode="drop")


def _pool(model: ByteUnitLM, recent_BxSxE: Array, closes_BxCx3: Array, longest: int) -> Float[Array, "B C D"]:
    """The vectors of units: each is cut out and pooled as a row of its own."""
    B, C, _ = closes_BxCx3.shape
    index, start, end = (closes_BxCx3[..., i, None] for i in range(3))
    at_BxCxM = start + jnp.arange(longest, dtype=jnp.int32)[None, None]
    inside = at_BxCxM < end
    origin = index if model.c.pool_positions == "published" else start

    def rows(x: Array) -> Array:
        return x.reshape(B * C, longest, *x.shape[3:])

    picked = jnp.take_along_axis(recent_BxSxE, at_BxCxM.reshape(B, C * longest, 1), axis=1, mode="clip")
    h = rows(picked.reshape(B, C, longest, -1))
    of = rows(jnp.where(inside, 0, 1))  # of the row's one unit, or of none
    if model.c.pool == "slot":
        h = model.encoder(h, Places(jnp.where(of == 0, 0, NOWHERE), rows(at_BxCxM)))
    return model.pool(h, of, rows(at_BxCxM - origin), 1).reshape(B, C, -1)
