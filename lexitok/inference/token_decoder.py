"""`TokenLM`, symbol after symbol."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lexitok.inference.places import places, ring_size, ring_slots
from lexitok.models.token_lm import TokenLM
from lexitok.nn.cache import KVCache


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TokenState:
    """What is kept of the symbols read."""

    backbone: KVCache


def empty(model: TokenLM, rows: int, symbols: int, chunk: int) -> TokenState:
    """The state of rows that have read nothing, with room for `symbols` each, read in chunks."""
    c = model.backbone.c
    return TokenState(KVCache.empty(c, rows, ring_size(c, symbols, chunk), model.dtype))


def extend(
    model: TokenLM, state: TokenState, reads_BxTx5: Int[Array, "B T 5"]
) -> tuple[TokenState, Float[Array, "B T D"]]:
    """Reads symbols.

    Args:
      reads_BxTx5: see `rows.Call`.

    Returns:
      The new state, and what the read-out takes, at each position.
    """
    symbols, positions = reads_BxTx5[..., 0], reads_BxTx5[..., 1]
    embedded = model.interface.embed(jnp.maximum(symbols, 0), model.dtype)
    slots = ring_slots(positions, state.backbone)
    hidden, cache = model.backbone.extend(embedded, places(positions), state.backbone, slots)
    return TokenState(cache), hidden
