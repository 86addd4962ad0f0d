"""`TokenLM`, symbol after symbol."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lexitok.data.encoders import Encoder
from lexitok.inference.calls import CompletedUnits, ReadCall, read_positions
from lexitok.interfaces import Bound
from lexitok.models.token_lm import TokenLM
from lexitok.nn.cache import Cache


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TokenState:
    """What is kept of the symbols read."""

    backbone: Cache


def check(model: TokenLM, encoder: Encoder) -> None:
    """There is nothing further to check."""


def longest_unit(model: TokenLM, encoder: Encoder) -> int:
    """Every symbol is a unit."""
    return 1


def routes(model: TokenLM) -> bool:
    """There is no router."""
    return False


def empty(model: TokenLM, rows: int, symbols: int, longest: int, chunk: int) -> TokenState:
    """The state of rows that have read nothing, with room for `symbols` each, read in chunks."""
    return TokenState(model.backbone.empty(rows, symbols, chunk, None, model.dtype))


def extend(
    model: TokenLM, state: TokenState, reads: ReadCall, closes: CompletedUnits | None, longest: int, bound: Bound
) -> tuple[TokenState, Float[Array, "B T D"]]:
    """Reads symbols; returns the new state, and what the read-out takes, at each position."""
    embedded = bound.embed(jnp.maximum(reads.symbols_BxT, 0), model.dtype)
    hidden, cache = model.backbone.extend(embedded, read_positions(reads.positions_BxT), state.backbone)
    return TokenState(cache), hidden
