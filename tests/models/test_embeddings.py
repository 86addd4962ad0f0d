"""What is added for the symbols before: BLT's hashes and Bolmo's longest tokens."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from lexitok.made import is_made
from lexitok.models.embeddings import PRIMES, blt_ids, make_additions, ngram_hash
from lexitok.models.preceding_symbols import PrecedingSymbols
from lexitok.parameter_names import merge, split
from lexitok.text.alphabet import APPENDED
from lexitok.text.suffix_trie import suffix_trie

TOKENS = (b"", b"a", b"b", b"ab", b"bab", b"abab", b" ", b"\xc3", b"\xc3\xa9", b"")
TEXT = st.lists(st.sampled_from([*b"aabb \xc3\xa9c", 256, 257, 258, 259]), max_size=14)


def settings_of(adds: str, **changes) -> ConfigDict:
    c = {"rows": 0, "adds": adds, "ngrams": (3, 4), "ngram_rows": 50, "ngram_functions": 2, "tokens": ""}
    return ConfigDict(c | changes)


def make(adds: str, **changes):
    return make_additions(settings_of(adds, **changes), 5, nnx.Rngs(0), TOKENS)


@functools.partial(jax.jit, static_argnums=2)
def call(addition, preceding: PrecedingSymbols, what: str = "__call__"):
    """A method of an addition, compiled once for all that are alike."""
    return getattr(addition, what)(preceding, *([jnp.float32] if what == "__call__" else []))


def whole(text: list[int]) -> PrecedingSymbols:
    """The text as a row of a batch, in a row of fixed length."""
    symbols = jnp.array([text + [259] * (16 - len(text))], jnp.int32)
    return PrecedingSymbols.of_batch(symbols, jnp.arange(16, dtype=jnp.int32)[None])


def hashes(ids: list[int], n: int, rows: int, prime: int = PRIMES[0]) -> list[int]:
    """BLT's definition with integers of 64 bits that wrap."""
    padded = np.array([0] * (n - 1) + ids, np.int64)
    powers = np.array([pow(prime, i, 1 << 64) for i in range(n)], np.uint64).view(np.int64)
    return [int((padded[t : t + n] * powers).sum() % rows) for t in range(len(ids))]


@pytest.mark.parametrize(
    ("start", "n", "rows", "golden"),
    [
        ([], 3, 500002, [29390, 266193, 386177, 358223, 190185, 217383]),
        ([], 4, 50002, [36940, 18987, 11579, 14179, 25724, 43845]),
        ([256], 3, 500002, [443987, 25397, 266194, 386177, 358223, 190185, 217383, 142034, 146186, 10172, 334275]),
        ([256], 8, 500002, [172383, 265781, 240974, 110592, 127974, 137413, 183379, 163044, 494468, 174564, 143229]),
    ],
)
def test_hashes_of_blt(start, n, rows, golden):
    """Values of the published code for "hello world", so that its tables could be read here."""
    preceding = whole([*start, *b"hello world"])
    index = ngram_hash([blt_ids(preceding.back(j)) for j in reversed(range(n))], PRIMES[0], rows)
    assert index[0, : len(golden)].tolist() == golden


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 511), min_size=1, max_size=10),
    st.integers(1, 10),
    st.sampled_from([1, 7, 30000, 500002, 1 << 20, (1 << 21) - 1, 1 << 21]),
    st.sampled_from(PRIMES),
)
def test_hash_wraps_as_64_bits_do(ids, n, rows, prime):
    """JAX has no 64-bit integers by default: the arithmetic in parts must be exact, sign and remainder too."""
    grams = [[([0] * n + ids)[t + 1 + i] for t in range(len(ids))] for i in range(n)]
    got = ngram_hash([jnp.array([gram], jnp.int32) for gram in grams], prime, rows)
    assert got[0].tolist() == hashes(ids, n, rows, prime)


@settings(max_examples=15)
@given(TEXT)
def test_ngrams_have_rows_of_their_own(text):
    """Every function and size has a table; an end of unit behind a byte (`fused`) changes nothing."""
    addition = make("ngram_hash")
    ids = [x + 4 if x < 256 else [1, 2, 3, 0][x - 256] for x in text]
    expected = [hashes(ids, n, 50, PRIMES[f]) for f in (0, 1) for n in (3, 4)]
    index = np.asarray(call(addition, whole(text), "index"))[0, : len(text)]
    np.testing.assert_array_equal(index, np.array(expected, int).reshape(4, -1).T + 50 * np.arange(4))
    fused = [x + 260 * (i % 2) for i, x in enumerate(text)]
    np.testing.assert_array_equal(call(addition, whole(fused), "index"), call(addition, whole(text), "index"))
    vectors = call(addition, whole(text))[0, : len(text)]
    np.testing.assert_allclose(vectors, addition.ngrams.table[...][index].sum(1), rtol=1e-5, atol=1e-6)


@settings(max_examples=25)
@given(TEXT)
def test_longest_token_is_the_one_of_the_trie(text):
    """All positions at once must find what a search from each finds, and no token may reach over a special."""
    addition, trie = make("suffix_token"), suffix_trie(TOKENS)
    expected = []
    for end in range(1, len(text) + 1):
        start = max((i + 1 for i in range(end) if text[i] >= 256), default=0)
        expected.append(trie.find(bytes(text[start:end]), end - start))
    fused = [x + 260 * (i % 2) for i, x in enumerate(text)]
    for symbols in (text, fused):
        assert call(addition, whole(symbols), "token")[0, : len(text)].tolist() == expected
    vectors = np.asarray(call(addition, whole(text)))[0, : len(text)]
    table = np.asarray(addition.tokens.table[...])
    for vector, token in zip(vectors, expected, strict=True):
        np.testing.assert_array_equal(vector, table[token] if token >= 0 else np.zeros(5))


@pytest.mark.parametrize("adds", ["ngram_hash", "suffix_token"])
@settings(max_examples=8)
@given(TEXT.filter(len), st.lists(st.integers(1, 4), max_size=5))
def test_a_stream_adds_what_a_batch_adds(adds, text, cuts):
    """Cached decoding is exact only if what is kept of the past is enough."""
    addition = make(adds)
    recent = jnp.full((1, addition.reach), -1, jnp.int32)
    got, at = [], 0
    for size in [*cuts, 16]:
        new = text[at : at + size]
        idle = 16 - len(new)
        positions = jnp.array([[*range(at, at + len(new)), *[-1] * idle]], jnp.int32)
        preceding = PrecedingSymbols.of_stream(recent, jnp.array([new + [0] * idle], jnp.int32), positions)
        got.append(np.asarray(call(addition, preceding))[0, : len(new)])
        recent, at = preceding.keep(addition.reach), at + len(new)
    np.testing.assert_array_equal(np.concatenate(got), call(addition, whole(text))[0, : len(text)])


@pytest.mark.parametrize("adds", ["ngram_hash", "suffix_token"])
def test_trains_like_any_module(adds):
    """The trie is no parameter: beside it there is a table, which learns, and abstract trees are those of modules."""
    addition, preceding = make(adds), whole([*b"abab \xc3\xa9"])
    made, parameters = split(addition, is_made)

    def loss(parameters):
        return jnp.sum(merge(parameters, made)(preceding, jnp.bfloat16).astype(jnp.float32) ** 2)

    grads = jax.jit(jax.grad(loss))(parameters)
    (grad,) = jax.tree.leaves(grads)
    assert grad.dtype == jnp.float32 and 0 < (np.abs(np.asarray(grad)).sum(1) > 0).sum() < len(grad)
    optimizer = optax.sgd(0.1)
    updates, _ = optimizer.update(grads, optimizer.init(parameters))
    again = optax.apply_updates(parameters, updates)
    assert not np.array_equal(jax.tree.leaves(again)[0], jax.tree.leaves(parameters)[0])
    assert jax.tree.structure(jax.eval_shape(lambda: make(adds))) == jax.tree.structure(addition)
    graph, state = nnx.split(addition)
    np.testing.assert_array_equal(nnx.merge(graph, state)(preceding, jnp.float32), addition(preceding, jnp.float32))


def test_size():
    """Parameters at the published size: BLT's six tables of 500002 rows, here for a width of 8; Bolmo's rows."""
    c = settings_of("ngram_hash", ngrams=(3, 4, 5, 6, 7, 8), ngram_rows=500002, ngram_functions=1)
    addition = jax.eval_shape(lambda: make_additions(c, 8, nnx.Rngs(0)))
    assert addition.ngrams.table.shape == (6 * 500002, 8) and addition.reach == 7
    assert make("suffix_token").tokens.table.shape == (len(TOKENS), 5) and make("suffix_token").reach == 3
    assert make("nothing") is None
    assert (APPENDED.bos, APPENDED.eot) == (256, 257)  # what `blt_ids` takes for BLT's 1 and 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adds": "bigrams"}, "unknown embedding.adds 'bigrams'; there are nothing, ngram_hash, suffix_token"),
        ({"ngrams": ()}, "embedding.ngrams is"),
        ({"ngrams": (0, 3)}, "embedding.ngrams is"),
        ({"ngram_rows": 1 << 22}, "embedding.ngram_rows is 4194304"),
        ({"ngram_functions": 12}, "embedding.ngram_functions is 12; there are 1 to 11"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    """A wrong setting is met with its name and what it may be."""
    with pytest.raises(ValueError, match=message):
        make_additions(settings_of(**({"adds": "ngram_hash"} | changes)), 4, nnx.Rngs(0))


def test_tokens_are_needed():
    """A vocabulary that was forgotten must be asked for by name."""
    with pytest.raises(ValueError, match="'suffix_token' needs the tokens of a vocabulary"):
        make_additions(settings_of("suffix_token"), 4, nnx.Rngs(0))


def test_an_alphabet_that_cannot_be():
    """The bytes must all be in it."""
    with pytest.raises(ValueError, match="interface.table_rows is 100; an alphabet of bytes has 256 to 260 symbols"):
        make_additions(settings_of(adds="ngram_hash"), 4, nnx.Rngs(0), symbols=100)
