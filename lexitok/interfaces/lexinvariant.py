"""Symbols without an identity: in each row they have Gaussian vectors of its own (arXiv 2305.16349, section 3).

A symbol's vector is made from the row's seed and its id by a counter-based generator (Threefry), wherever it is needed:
no `[B, V, D]` array exists, neither on the way in, nor in the loss, nor on the way back.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces.bound import Bound, refuse_vocabulary
from lexitok.nn.parameters import normal
from lexitok.ops.read_out import Query, Reductions
from lexitok.ops.read_out.blocked import block_size, logits_in_blocks, read_out
from lexitok.ops.read_out.reference import capped
from lexitok.sharding import whole

_IS_RANDOM = 1 << 31  # a counter that no component of a vector has


def row_vectors(seeds_B: Int[Array, "B"], symbols_BxC: Int[Array, "B C"], D: int) -> Float[Array, "B C D"]:
    """The vectors of symbols in rows with these seeds: independent, of unit deviation, float32."""

    def vector(seed: Array, symbol: Array) -> Array:
        return jax.random.normal(_symbol_key(seed, symbol), (D,), jnp.float32)

    return jax.vmap(jax.vmap(vector, (None, 0)))(seeds_B, symbols_BxC)


def row_choices(seeds_B: Int[Array, "B"], symbols_BxC: Int[Array, "B C"], chance: float) -> Bool[Array, "B C"]:
    """Which symbols are random in a row: each with this probability, whatever the others are."""

    def choose(seed: Array, symbol: Array) -> Array:
        return jax.random.bernoulli(jax.random.fold_in(_symbol_key(seed, symbol), _IS_RANDOM), chance)

    return jax.vmap(jax.vmap(choose, (None, 0)))(seeds_B, symbols_BxC)


def _symbol_key(seed: Array, symbol: Array) -> Array:
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), symbol)


@dataclasses.dataclass(frozen=True)
class RowsBound:
    """Symbols enter with vectors of each row's own, and leave by `h · v / sqrt(D)` with the same.

    With hidden vectors of unit root mean square, logits start with unit deviation, and that of a symbol whose own
    vector is the hidden one is `sqrt(D)`.

    Attributes:
      vectors: of symbols `[B, C]` in their rows, float32 `[B, C, D]`.
      D: their width.
      V: symbols.
      softcap: of the logits; 0: none.
    """

    vectors: Callable[[Int[Array, "B C"]], Float[Array, "B C D"]]
    D: int
    V: int
    softcap: float

    def embed(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        return self.vectors(symbols_BxS).astype(dtype)

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        return capped(
            logits_in_blocks(h_BxSxD, self._read_out(len(h_BxSxD)), self.V, self._block(h_BxSxD)), self.softcap
        )

    def read_out(self, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        """What is asked of the logits; a block of symbols is held at once (`block_size`)."""
        vectors, block = self._read_out(len(h_BxSxD)), self._block(h_BxSxD)
        return read_out(h_BxSxD, vectors, self.V, query, block=block, softcap=self.softcap)

    def _read_out(self, B: int) -> Callable[[Array], Array]:
        def vectors(ids_C: Array) -> Array:
            return self.vectors(jnp.broadcast_to(ids_C[None], (B, len(ids_C)))) * self.D**-0.5

        return vectors

    def _block(self, h_BxSxD: Array) -> int:
        return block_size(h_BxSxD.shape[1], self.D, self.V)


class _Tied(nnx.Module):
    """An interface whose symbols leave with the vectors that they enter with, which differ by row."""

    D: int
    softcap: float
    vocabulary_size: int

    def bind(self, seeds_B: Int[Array, "B"], vocabulary: Any = None) -> Bound:
        """The interface for the rows of a batch, with these seeds."""
        refuse_vocabulary(vocabulary, self)
        vectors = functools.partial(self._vectors, self._learned(), seeds_B)
        return RowsBound(vectors, self.D, self.vocabulary_size, self.softcap)

    def _learned(self) -> Any:
        """What is learned of the vectors."""
        return None

    def _vectors(self, learned: Any, seeds_B: Array, symbols_BxC: Array) -> Float[Array, "B C D"]:
        raise NotImplementedError


class Lexinvariant(_Tied):
    """Every symbol is random in every row: a model can only know symbols by how they are used in its context.

    No parameters. `p(x) = p(π(x))` for every permutation `π` of the symbols, over the draw of the vectors.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, *, rngs: nnx.Rngs):
        del rngs
        self.vocabulary_size, self.D, self.softcap = V, D, c.softcap

    def _vectors(self, learned: Any, seeds_B: Array, symbols_BxC: Array) -> Float[Array, "B C D"]:
        return row_vectors(seeds_B, symbols_BxC, self.D)


class SemiLexinvariant(_Tied):
    """In each row every symbol is random with probability `random`, or else has its learned vector, `table: [V, D]`.

    A regulariser (section 5): when the model is evaluated (`evaluated`), the probability is `random_evaluated`.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, *, rngs: nnx.Rngs):
        for name in ("random", "random_evaluated"):
            if not 0.0 <= c[name] <= 1.0:
                raise ValueError(f"interface.{name} is {c[name]}; it is a probability, from 0 to 1")
        self.vocabulary_size, self.D, self.softcap = V, D, c.softcap
        self.random, self.random_evaluated = c.random, c.random_evaluated
        self.table = normal(rngs, "V D", (V, D), 1)

    def evaluated(self) -> Any:
        """The same interface, as it is when the model is evaluated or used."""
        out = jax.tree.map(lambda leaf: leaf, self)
        out.random = self.random_evaluated
        return out

    def _learned(self) -> Float[Array, "V D"]:
        return whole(self.table[...])  # once, before anything goes over blocks of it

    def _vectors(self, learned: Array, seeds_B: Array, symbols_BxC: Array) -> Float[Array, "B C D"]:
        own = learned[symbols_BxC]
        if self.random == 0.0:
            return own
        chosen = row_choices(seeds_B, symbols_BxC, self.random)
        return jnp.where(chosen[..., None], row_vectors(seeds_B, symbols_BxC, self.D), own)
