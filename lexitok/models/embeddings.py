"""What is added to the vector of a symbol for the symbols before it. A new one is a class and a line in `ADDITIONS`.

Settings are those of `lexitok.config.embedding`. Under the boundary rule `fused` half of the symbols are bytes with an
end of unit behind them; what is added here knows symbols without that.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.made import made
from lexitok.models.preceding_symbols import PrecedingSymbols
from lexitok.nn.parameters import normal
from lexitok.text.suffix_trie import ROOT, suffix_trie

Settings = ConfigDict | FrozenConfigDict

BYTES, SYMBOLS = 256, 260  # of an alphabet with its specials, at most
_MOST_ROWS = 1 << 21  # of a table of n-grams, so that sums of eight products stay within 32 bits

# Primes of BLT's hash functions.
PRIMES = (
    *(1000000007, 5915587277, 1500450271, 3267000013, 5754853343, 4093082899),
    *(9576890767, 3628273133, 2860486313, 5463458053, 3367900313),
)


@runtime_checkable
class Addition(Protocol):
    """Symbols to vectors; `reach` is how many symbols before its own a vector depends on."""

    @property
    def reach(self) -> int: ...

    def __call__(self, preceding: PrecedingSymbols, dtype: DTypeLike) -> Float[Array, "B S E"]: ...


class Rows(nnx.Module):
    """`table: [rows, E]`, drawn with standard deviation `gain`; looked up before the cast, for it may be large."""

    def __init__(self, rows: int, E: int, *, gain: float, rngs: nnx.Rngs):
        self.table = normal(rngs, "V E", (rows, E), 1, gain)

    def __call__(self, index: Int[Array, "*B"], dtype: DTypeLike) -> Float[Array, "*B E"]:
        return self.table[...][index].astype(dtype)


class NgramHash(nnx.Module):
    """BLT: the vectors of the n-grams that end with a symbol are added (arXiv 2412.09871, section 3.2.1).

    `Σ_functions Σ_sizes Hash[h(last n bytes)]`, a plain sum as in the published code; the paper divides it by the
    number of its terms. The tables are drawn so that the sum has unit deviation. No n-gram leaves its piece.

    Settings: `ngrams`, the sizes; `ngram_rows` of each table (500002 published); `ngram_functions` (1 published).
    """

    def __init__(self, c: Settings, E: int, tokens: Sequence[bytes] = (), *, symbols: int = 0, rngs: nnx.Rngs):
        del tokens
        self.sizes, self.functions, self.rows = tuple(c.ngrams), c.ngram_functions, c.ngram_rows
        self.alphabet = _alphabet(symbols)
        _check_ngrams(self.sizes, self.functions, self.rows)
        tables = len(self.sizes) * self.functions
        self.ngrams = Rows(tables * self.rows, E, gain=tables**-0.5, rngs=rngs)  # by function, in each by size

    @property
    def reach(self) -> int:
        return max(self.sizes) - 1

    def __call__(self, preceding: PrecedingSymbols, dtype: DTypeLike) -> Float[Array, "B S E"]:
        return jnp.sum(self.ngrams(self.index(preceding), dtype), axis=-2)

    def index(self, preceding: PrecedingSymbols) -> Int[Array, "B S tables"]:
        """The rows of `ngrams` that are added."""
        back = [blt_ids(_plain_symbol(preceding.back(j), self.alphabet)) for j in range(self.reach + 1)]
        which = [(f, n) for f in range(self.functions) for n in self.sizes]
        hashes = [ngram_hash(back[:n][::-1], PRIMES[f], self.rows) + k * self.rows for k, (f, n) in enumerate(which)]
        return jnp.stack(hashes, axis=-1)


class SuffixToken(nnx.Module):
    """Bolmo: the vector of the longest token that ends with a symbol is added (arXiv 2512.15586, section 3).

    The token is the longest of the vocabulary that is a suffix of the piece up to that byte, whatever the text's own
    tokens are. Nothing is added at specials, nor where no token ends; and no token reaches over a special.

    Args:
      tokens: by id, specials empty. Each has a row, as in a checkpoint of the model that they come from.
    """

    def __init__(self, c: Settings, E: int, tokens: Sequence[bytes] = (), *, symbols: int = 0, rngs: nnx.Rngs):
        if not tokens:
            raise ValueError("embedding.adds 'suffix_token' needs the tokens of a vocabulary, and there are none")
        trie = suffix_trie(tuple(tokens))
        self.alphabet = _alphabet(symbols)
        self.made_cells, self.longest = made(trie.cells), trie.longest
        self.tokens = Rows(len(tokens), E, gain=1.0, rngs=rngs)

    @property
    def reach(self) -> int:
        return self.longest - 1

    def __call__(self, preceding: PrecedingSymbols, dtype: DTypeLike) -> Float[Array, "B S E"]:
        token_BxS = self.token(preceding)
        vectors = self.tokens(jnp.maximum(token_BxS, 0), dtype)
        return jnp.where((token_BxS >= 0)[..., None], vectors, jnp.zeros((), dtype))

    def token(self, preceding: PrecedingSymbols) -> Int[Array, "B S"]:
        """The id of the longest token that ends at each position; -1 where none does.

        All positions go down the trie together, until none can go on.
        """
        preceding.require(self.reach)
        cells = self.made_cells[...]

        def descend(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            depth, node, row, alive = state
            symbol = _plain_symbol(preceding.back(depth), self.alphabet)
            alive &= (symbol >= 0) & (symbol < BYTES)
            below = jnp.where(alive, row[..., 0] + symbol, ROOT)
            row_below = cells[below]
            alive &= row_below[..., 1] == node
            return depth + 1, jnp.where(alive, below, node), jnp.where(alive[..., None], row_below, row), alive

        nodes = jnp.full(preceding.symbols_BxS.shape, ROOT, jnp.int32)
        start = (jnp.zeros((), jnp.int32), nodes, cells[nodes], jnp.ones(nodes.shape, bool))
        state = jax.lax.while_loop(lambda state: (state[0] < self.longest) & jnp.any(state[3]), descend, start)
        return state[2][..., 2]


ADDITIONS = {"ngram_hash": NgramHash, "suffix_token": SuffixToken}


def make_additions(
    c: Settings, E: int, rngs: nnx.Rngs, tokens: Sequence[bytes] = (), symbols: int = 0
) -> Addition | None:
    """What `c.adds` names; None for `nothing`.

    Args:
      c: a section `lexitok.config.embedding`.
      E: width of the vectors.
      rngs: for the parameters.
      tokens: for `suffix_token`: the bytes of a vocabulary's ids.
      symbols: of the alphabet, where ends of units are not told apart; 0: as many as there can be.

    Raises:
      ValueError: an unknown name, or settings that cannot be.
    """
    if c.adds == "nothing":
        return None
    if c.adds not in ADDITIONS:
        raise ValueError(f"unknown embedding.adds '{c.adds}'; there are nothing, {', '.join(ADDITIONS)}")
    return ADDITIONS[c.adds](c, E, tokens, symbols=symbols, rngs=rngs)


def blt_ids(symbols: Int[Array, "B S"]) -> Int[Array, "B S"]:
    """BLT's ids: a byte is its value + 4; `bos` is 1 and `eot` 2, as there; `end_of_unit` is 3; `pad`, and nothing, 0.

    That is for the alphabet `appended`; the specials of `in_bytes` count as the bytes that they are.
    """
    specials = (symbols - (BYTES - 1)) % 4
    return jnp.where(symbols < 0, 0, jnp.where(symbols < BYTES, symbols + 4, specials))


def ngram_hash(ids: Sequence[Int[Array, "B S"]], prime: int, rows: int) -> Int[Array, "B S"]:
    """BLT's hash of an n-gram: `Σ_i ids[i] · prime^i`, as a signed integer of 64 bits that wraps, modulo `rows`.

    Without 64-bit integers: the powers are cut into digits of 16 bits, whose products with ids of 9 bits can be summed
    up, then the carries are passed on, and the remainder is taken byte by byte.

    Args:
      ids: the n-gram, its oldest first; below 512.
      prime: the base.
      rows: of the table, at most 2^21.
    """
    powers = [pow(prime, i, 1 << 64) for i in range(len(ids))]
    words = [x.astype(jnp.uint32) for x in ids]
    carry = jnp.zeros_like(words[0])
    total = jnp.zeros_like(words[0])
    for k in range(4):
        digits = [np.uint32(power >> (16 * k) & 0xFFFF) for power in powers]
        digit = sum((x * d for x, d in zip(words, digits, strict=True)), carry)
        carry, digit = digit >> 16, digit & 0xFFFF
        total += (digit & 0xFF) * np.uint32((1 << (16 * k)) % rows)
        total += (digit >> 8) * np.uint32((1 << (16 * k + 8)) % rows)
        if k == 3:  # the highest bit is that of the sign
            total += (digit >> 15) * np.uint32(-(1 << 64) % rows)
    return (total % np.uint32(rows)).astype(jnp.int32)


def _alphabet(symbols: int) -> int:
    """Symbols that are told apart where ends of units are not."""
    if symbols and not BYTES <= symbols <= SYMBOLS:
        raise ValueError(f"interface.table_rows is {symbols}; an alphabet of bytes has {BYTES} to {SYMBOLS} symbols")
    return symbols or SYMBOLS


def _plain_symbol(symbols: Int[Array, "B S"], alphabet: int) -> Int[Array, "B S"]:
    return jnp.where(symbols < 0, symbols, symbols % alphabet)


def _check_ngrams(sizes: tuple[int, ...], functions: int, rows: int) -> None:
    if not sizes or min(sizes) < 1 or max(sizes) > 64:
        raise ValueError(f"embedding.ngrams is {sizes}; it must name at least one size from 1 to 64 bytes")
    if not 1 <= functions <= len(PRIMES):
        raise ValueError(f"embedding.ngram_functions is {functions}; there are 1 to {len(PRIMES)} hash functions")
    if not 1 <= rows <= _MOST_ROWS:
        raise ValueError(f"embedding.ngram_rows is {rows}; a table has 1 to {_MOST_ROWS} rows")
