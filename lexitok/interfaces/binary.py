"""Fixed minimal binary codes: a symbol enters as the bits of its id, tiled to the width (arXiv 2605.09751)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces.gf2 import random_invertible
from lexitok.interfaces.learned_read_out import LearnedReadOut

RECODINGS, LIFTS, NORMS = ("canonical", "affine"), ("zero_one", "plus_minus"), ("none", "rms")


def id_bits(V: int) -> int:
    """`K = ⌈log2 V⌉`, at least 1: bits of the ids of `V` symbols."""
    return max(1, (V - 1).bit_length())


class BinaryCodes(LearnedReadOut):
    """`x_j = c(t)[j mod K]` with `K = ⌈log2 V⌉` bits `c(t)`: no parameters and no table; the read-out is learned.

    `canonical` codes are the ids; `affine` ones are `A c(t) + b` over the field of two elements, with a random
    invertible matrix `A` and random bits `b` that follow from `seed`. As plain bits (`zero_one`, which the authors'
    model cards describe) a vector's norm grows with the number of ones, and the symbol whose code is 0 (in `canonical`,
    id 0) is the zero vector, which norms cannot scale: it enters as nothing. `norm='rms'` makes all the others equally
    long. With `plus_minus` all have root mean square 1, and none is zero. How inputs are normalised is not published.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, *, rngs: nnx.Rngs):
        super().__init__(V, D, softcap=c.softcap, rngs=rngs)
        for name, known in (("recoding", RECODINGS), ("lift", LIFTS), ("norm", NORMS)):
            if c[name] not in known:
                raise ValueError(f"unknown interface.{name} '{c[name]}'; there are {', '.join(known)}")
        self.K = id_bits(V)
        if self.K > D:
            raise ValueError(f"{V} symbols have codes of {self.K} bits, which do not fit into {D} dimensions")
        self.D, self.lift, self.norm = D, c.lift, c.norm
        self.rows, self.offset = _recoding(c, self.K)

    def codes(self, symbols: Int[Array, "*B"]) -> Int[Array, "*B"]:
        """The code of each symbol, as an integer."""
        shifts = jnp.arange(self.K, dtype=jnp.int32)
        return jnp.sum(self._bits(symbols) << shifts.reshape((1,) * symbols.ndim + (-1,)), axis=-1)

    def _bits(self, symbols: Array) -> Int[Array, "*B K"]:
        """Bit `k` is the parity of the bits of the id that row `k` of the matrix takes, flipped by the offset."""
        rows = jnp.asarray(np.array(self.rows, np.int32)).reshape((1,) * symbols.ndim + (-1,))
        flips = jnp.asarray(np.array([self.offset >> k & 1 for k in range(self.K)], np.int32))
        parity = jax.lax.population_count(symbols[..., None] & rows) & 1
        return parity ^ flips.reshape((1,) * symbols.ndim + (-1,))

    def vectors(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The codes of the symbols, lifted, in `dtype`."""
        bits = self._bits(symbols_BxS).astype(jnp.float32)
        values = 2.0 * bits - 1.0 if self.lift == "plus_minus" else bits
        tiled = jnp.tile(values, (1, 1, -(-self.D // self.K)))[..., : self.D]
        if self.norm == "rms":
            mean = jnp.mean(jnp.square(tiled), axis=-1, keepdims=True)
            tiled = tiled * jax.lax.rsqrt(jnp.where(mean > 0.0, mean, 1.0))
        return tiled.astype(dtype)


def _recoding(c: ConfigDict, K: int) -> tuple[tuple[int, ...], int]:
    """Rows of the matrix, and the offset."""
    if c.recoding == "canonical":
        return tuple(1 << k for k in range(K)), 0
    rng = np.random.default_rng(c.seed)
    return random_invertible(K, rng), int(rng.integers(0, 1 << K))
