"""What stands before each position, in packed rows and in streams."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.models.preceding_symbols import PrecedingSymbols

LONGEST = 12


def before(pieces: list[list[int]], j: int) -> list[int]:
    """The symbol `j` before each, by a loop."""
    return [piece[i - j] if i >= j else -1 for piece in pieces for i in range(len(piece))]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 259), min_size=1, max_size=6), min_size=1, max_size=3), st.integers(0, 9))
def test_pieces_of_a_row_do_not_see_each_other(pieces, j):
    """Packed must be as unpacked: nothing is before the start of a piece."""
    symbols, pad = [symbol for piece in pieces for symbol in piece], 20
    positions = [i for piece in pieces for i in range(len(piece))]
    row = jnp.array([symbols + [259] * (pad - len(symbols))], jnp.int32)
    positions = jnp.array([positions + [0] * (pad - len(symbols))], jnp.int32)
    preceding = PrecedingSymbols.of_batch(row, positions)
    for steps in (j, jnp.int32(j)):  # known when traced, and not
        np.testing.assert_array_equal(preceding.back(steps)[0, : len(symbols)], before(pieces, j))


def calls_of(cuts: list[list[int]], texts: list[list[int]]):
    """Calls of a stream: row `b` gets its next `cuts[k][b]` symbols in call `k`, all that is left in the last."""
    done = [0] * len(texts)
    for sizes in [*cuts, [LONGEST] * len(texts)]:
        symbols = np.zeros((len(texts), LONGEST), np.int32)
        positions = np.full((len(texts), LONGEST), -1, np.int32)
        for b, text in enumerate(texts):
            new = text[done[b] : done[b] + sizes[b]]
            symbols[b, : len(new)] = new
            positions[b, : len(new)] = np.arange(done[b], done[b] + len(new))
            done[b] += len(new)
        yield jnp.asarray(symbols), jnp.asarray(positions)


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(0, 259), max_size=LONGEST), min_size=3, max_size=3),
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), max_size=4),
    st.integers(0, 5),
)
def test_a_stream_sees_what_the_whole_text_has(texts, cuts, R):
    """Rows get their symbols in pieces of their own sizes; what is before them must not depend on that."""
    recent = jnp.full((3, R), -1, jnp.int32)
    seen: list[list[list[int]]] = [[[] for _ in range(R + 1)] for _ in texts]
    for symbols, positions in calls_of(cuts, texts):
        preceding = PrecedingSymbols.of_stream(recent, symbols, positions)
        for j in range(R + 1):
            back = np.asarray(preceding.back(j))
            for b in range(3):
                seen[b][j] += back[b][np.asarray(positions)[b] >= 0].tolist()
        recent = preceding.keep(R)
    for b, text in enumerate(texts):
        assert seen[b] == [before([text], j) for j in range(R + 1)]
        assert recent[b].tolist() == ([-1] * R + text)[len(text) :]


def test_a_stream_that_holds_too_little_says_so():
    """A model that looks further back than its cache would read other symbols, unseen."""
    one = jnp.zeros((1, 1), jnp.int32)
    stream = PrecedingSymbols.of_stream(jnp.zeros((1, 2), jnp.int32), one, one)
    for ask in (stream.back, stream.keep, stream.require):
        with pytest.raises(ValueError, match="symbol 3 positions before is asked for, but the stream holds the last 2"):
            ask(3)
    with pytest.raises(ValueError, match="only a stream has last symbols"):
        PrecedingSymbols.of_batch(one, one).keep(0)


def test_is_a_tree():
    """It goes through `jit`, and its source is part of its structure."""
    ones = jnp.ones((2, 3), jnp.int32)
    stream, batch = PrecedingSymbols.of_stream(ones[:, :2], ones, ones), PrecedingSymbols.of_batch(ones, ones)
    assert len(jax.tree.leaves(stream)) == 3 and jax.tree.structure(stream) != jax.tree.structure(batch)
    np.testing.assert_array_equal(jax.jit(lambda x: x.back(1))(stream), stream.back(1))
