"""Symbols without an identity: in each row they have Gaussian vectors of its own (arXiv 2305.16349, section 3).

A symbol's vector is made from the row's seed and its id by a counter-based generator (Threefry), wherever it is needed:
no `[B, V, D]` array exists, neither on the way in, nor in the loss, nor on the way back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.nn.parameters import normal
from lexitok.ops.linear_cross_entropy import Scores
from lexitok.ops.linear_cross_entropy.blocked import block_size, blocked_cross_entropy, logits_in_blocks

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


class _Tied(nnx.Module):
    """An interface whose read-out is `h · v / sqrt(D)`, with `v` the vectors that symbols enter with.

    With hidden vectors of unit root mean square, logits start with unit deviation, and that of a symbol whose own
    vector is the hidden one is `sqrt(D)`.
    """

    D: int
    softcap: float
    vocabulary_size: int

    def _vectors(self, seeds_B: Array, symbols_BxC: Array) -> Float[Array, "B C D"]:
        raise NotImplementedError

    def embed(
        self, symbols_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"], dtype: DTypeLike
    ) -> Float[Array, "B S D"]:
        """The vectors of the symbols in their rows, in `dtype`."""
        return self._vectors(seeds_B, symbols_BxS).astype(dtype)

    def _read_out(self, seeds_B: Array) -> Callable[[Array], Array]:
        def vectors(ids_C: Array) -> Array:
            symbols = jnp.broadcast_to(ids_C[None], (len(seeds_B), len(ids_C)))
            return self._vectors(seeds_B, symbols) * self.D**-0.5

        return vectors

    def _block(self, h_BxSxD: Array) -> int:
        return block_size(h_BxSxD.shape[1], self.D, self.vocabulary_size)

    def logits(self, h_BxSxD: Float[Array, "B S D"], seeds_B: Int[Array, "B"]) -> Float[Array, "B S V"]:
        """Float32 logits of every symbol."""
        out = logits_in_blocks(h_BxSxD, self._read_out(seeds_B), self.vocabulary_size, self._block(h_BxSxD))
        return self.softcap * jnp.tanh(out / self.softcap) if self.softcap else out

    def scores(
        self, h_BxSxD: Float[Array, "B S D"], targets_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"], chunk: int = 512
    ) -> Scores:
        """Nats of the targets; a block of symbols is held at once (`block_size`), `chunk` has no meaning."""
        del chunk
        return blocked_cross_entropy(
            h_BxSxD,
            self._read_out(seeds_B),
            self.vocabulary_size,
            targets_BxS,
            block=self._block(h_BxSxD),
            softcap=self.softcap,
        )


class Lexinvariant(_Tied):
    """Every symbol is random in every row: a model can only know symbols by how they are used in its context.

    No parameters. `p(x) = p(π(x))` for every permutation `π` of the symbols, over the draw of the vectors.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, tokens: Sequence[bytes] = (), *, rngs: nnx.Rngs):
        del tokens, rngs
        self.vocabulary_size, self.D, self.softcap = V, D, c.softcap

    def _vectors(self, seeds_B: Array, symbols_BxC: Array) -> Float[Array, "B C D"]:
        return row_vectors(seeds_B, symbols_BxC, self.D)


class SemiLexinvariant(_Tied):
    """In each row every symbol is random with probability `random`, or else has its learned vector, `table: [V, D]`.

    A regulariser (section 5): when the model is evaluated (`evaluated`), the probability is `random_evaluated`.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, tokens: Sequence[bytes] = (), *, rngs: nnx.Rngs):
        del tokens
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

    def _vectors(self, seeds_B: Array, symbols_BxC: Array) -> Float[Array, "B C D"]:
        learned = self.table[...][symbols_BxC]
        if self.random == 0.0:
            return learned
        chosen = row_choices(seeds_B, symbols_BxC, self.random)
        return jnp.where(chosen[..., None], row_vectors(seeds_B, symbols_BxC, self.D), learned)
