"""Batches: rows of packed pieces, of fixed shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.data.layout import cut, make_piece
from lexitok.data.rows import pack_rows


def test_two_pieces_in_a_row(encoders):
    """Written out by hand: what packing does to every index."""
    first, second = (encoders["lagged"].encode(data) for data in (b"ab c", b"d"))
    rows = [[make_piece(first, 0, len(first)), make_piece(second, 0, len(second))], []]
    batch = pack_rows(rows, symbols=9, units=6, pad=7)
    bos, eot, pad = 256, 257, 7
    assert batch.tokens.symbols_BxS.tolist() == [[bos, 97, 98, 32, 99, bos, 100, pad, pad], [pad] * 9]
    assert batch.tokens.targets_BxS.tolist() == [[97, 98, 32, 99, eot, 100, eot, pad, pad], [pad] * 9]
    assert batch.tokens.weights_BxS.tolist() == [[1] * 7 + [0, 0], [0] * 9]
    assert batch.tokens.bytes_BxS.tolist() == [[1, 1, 1, 1, 0, 1, 0, 0, 0], [0] * 9]
    assert batch.tokens.segments_BxS.tolist() == [[1, 1, 1, 1, 1, 2, 2, 0, 0], [0] * 9]
    assert batch.tokens.positions_BxS.tolist() == [[0, 1, 2, 3, 4, 0, 1, 0, 0], [0] * 9]
    starts = encoders["lagged"].splitter.split(b"ab c").starts
    unit = [0, 1, 1, 1 + int(starts[2]), 1 + int(starts[1:4].sum())]
    assert batch.tokens.units.of_BxS[0].tolist() == [*unit, unit[-1] + 1, unit[-1] + 2, 6, 6]
    assert batch.tokens.units.of_BxS[1].tolist() == [6] * 9
    assert (
        batch.tokens.units.guide_BxS[0, 0]
        == batch.tokens.units.guide_BxS[0, 5]
        == batch.tokens.units.guide_BxS[0, 8]
        == -1
    )
    counts = unit[-1] + 1
    assert batch.tokens.units.segments_BxW[0].tolist() == [1] * counts + [2, 2] + [0] * (4 - counts)
    assert batch.tokens.units.positions_BxW[0].tolist() == [*range(counts), 0, 1] + [0] * (4 - counts)


@pytest.mark.parametrize("kind", ["lagged", "end_symbol", "slots", "revealed", "fused"])
def test_guides_stay_in_their_piece(encoders, kind):
    """A guide of another piece is another document's text; so is a unit."""
    document = encoders[kind].encode(b"one two three four five six seven")
    pieces = cut(document, 12, 5)
    batch = pack_rows([pieces], symbols=80, units=40, pad=0)
    guides, segments = batch.tokens.units.guide_BxS[0], batch.tokens.segments_BxS[0]
    seen, live = guides >= 0, segments > 0
    assert len(pieces) > 2 and seen.any()
    assert (batch.tokens.units.segments_BxW[0][guides[seen]] == segments[seen]).all()
    assert (batch.tokens.units.segments_BxW[0][batch.tokens.units.of_BxS[0][live]] == segments[live]).all()


def test_what_is_only_read_has_no_weight(encoders):
    """Further slots of a unit stand for no byte, and follow from what was read before them."""
    document = encoders["slots"].encode(b"a b")
    batch = pack_rows([[make_piece(document, 0, len(document))]], symbols=20, units=4, pad=0)
    end = encoders["slots"].rule.end_of_unit
    weights, targets = batch.tokens.weights_BxS[0], batch.tokens.targets_BxS[0]
    assert targets[:2].tolist() == [end, end] and weights[:3].tolist() == [0, 0, 1]
    assert batch.tokens.bytes_BxS[0, weights > 0].sum() == batch.tokens.bytes_BxS.sum() == 3
    first = np.flatnonzero(np.diff(batch.tokens.units.of_BxS[0], prepend=-1))[:3]
    assert (batch.tokens.symbols_BxS[0, first[1]], batch.tokens.symbols_BxS[0, first[1] + 1]) == (end, end)


def test_units_that_the_model_finds(encoders):
    """The batch says only how many there is room for."""
    document = encoders["model"].encode(b"ab cd")
    batch = pack_rows([[make_piece(document, 0, len(document))]], symbols=8, units=5, pad=0)
    assert batch.tokens.weights_BxS.sum() == 6
    assert (batch.tokens.units.of_BxS == 5).all() and (batch.tokens.units.guide_BxS == -1).all()
    assert batch.tokens.units.segments_BxW.tolist() == [[0] * 5]


@pytest.mark.parametrize(("symbols", "units", "what"), [(4, 6, "5 symbols"), (5, 2, "units")])
def test_a_row_that_is_too_long_is_named(encoders, symbols, units, what):
    """Never cut off silently: what is dropped is not scored."""
    document = encoders["lagged"].encode(b"a  b")
    with pytest.raises(ValueError, match=rf"row 1 holds .*{what.split()[-1]}.* budget is"):
        pack_rows([[], [make_piece(document, 0, len(document))]], symbols=symbols, units=units, pad=0)


@pytest.mark.parametrize("kind", ["lagged", "bytes"])
def test_a_batch_is_a_pytree(encoders, kind):
    """Training code maps over batches to put them on devices, and to describe their shapes and shardings."""
    document = encoders[kind].encode(b"ab")
    batch = pack_rows([[make_piece(document, 0, 3)]], symbols=4, units=5 if kind == "lagged" else None, pad=0)
    on_device = jax.tree.map(jnp.asarray, batch)
    assert jax.tree.map(np.shape, on_device) == jax.tree.map(np.shape, batch)
    assert jax.jit(lambda b: b.tokens.bytes_BxS.sum())(on_device) == 2
    assert jax.tree.leaves(jax.tree.map(lambda _: None, batch)) == []
    assert (batch.tokens.units is None) == (kind == "bytes")
