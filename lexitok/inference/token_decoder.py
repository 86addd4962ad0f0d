"""`TokenLM`, symbol after symbol."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lexitok.inference.calls import Reads, read_positions
from lexitok.interfaces import Bound
from lexitok.models.token_lm import TokenLM
from lexitok.nn.cache import Cache


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TokenState:
    """What is kept of the symbols read."""

    backbone: Cache


def empty(model: TokenLM, rows: int, symbols: int, chunk: int) -> TokenState:
    """The state of rows that have read nothing, with room for `symbols` each, read in chunks."""
    return TokenState(model.backbone.empty(rows, symbols, chunk, None, model.dtype))


def extend(model: TokenLM, state: TokenState, reads: Reads, bound: Bound) -> tuple[TokenState, Float[Array, "B T D"]]:
    """Reads symbols; returns the new state, and what the read-out takes, at each position."""
    embedded = bound.embed(jnp.maximum(reads.symbols_BxT, 0), model.dtype)
    hidden, cache = model.backbone.extend(embedded, read_positions(reads.positions_BxT), state.backbone)
    return TokenState(cache), hidden
