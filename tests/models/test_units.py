"""Units that a model makes of ends are those that the data pipeline makes of them."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.data.batch import Batch
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.models.units import moved_since, units_from_ends
from lexitok.ops.attention import Positions
from lexitok.text.boundaries import SymbolStream, revealed_ends
from lexitok.text.splitters import make_splitter

S = 24
ENDS = st.lists(st.booleans(), min_size=1, max_size=8)
ROWS = st.lists(st.lists(ENDS, max_size=3), min_size=2, max_size=2)  # of pieces of one document each


def by_layout(rows: list[list[list[bool]]]) -> tuple[Batch, np.ndarray]:
    """Rows whose pieces are cut from a document with these ends, and the positions at which their units end."""
    packed, ends_BxS = [], np.zeros((len(rows), S), bool)
    for row, pieces in enumerate(rows):
        ends = np.array([end for piece in pieces for end in piece], bool)
        n = len(ends)
        document = SymbolStream(
            symbols=np.arange(n, dtype=np.int32),
            nbytes=np.ones(n, np.int32),
            unit_ends=ends,
            closed=np.cumsum(ends, dtype=np.int32),
            predicted=np.ones(n, bool),
            boundary="revealed",
            bos=0,
        )
        starts = np.cumsum([0, *map(len, pieces)]).tolist()
        packed.append([make_piece(document, a, b) for a, b in itertools.pairwise(starts)])
        ends_BxS[row, 1 : n + 1] = ends[: S - 1]  # position t reads what symbol t - 1 of the document was
        ends_BxS[row, starts[:-1]] = True  # and the first one of a piece `bos`, which is a unit
        ends_BxS[row, n:] = True  # what a router says of padding is nobody's business
    return pack_rows(packed, symbols=S, units=S, pad=0), ends_BxS


@functools.partial(jax.jit, static_argnums=3)
def by_model(ends_BxS, segments_BxS, positions_BxS, room: int):
    return units_from_ends(ends_BxS, Positions(segments_BxS, positions_BxS), room)


@jax.jit
def by_counting(guide_BxS, segments_BxS, positions_BxS):
    return moved_since(guide_BxS, Positions(segments_BxS, positions_BxS))


@settings(max_examples=40)
@given(rows=ROWS)
def test_units_are_those_of_the_data_pipeline(rows):
    """Boundary rule `revealed` has one meaning, whether a splitter or the model finds the ends."""
    batch, ends = by_layout(rows)
    units, dropped = by_model(ends, batch.tokens.segments_BxS, batch.tokens.positions_BxS, S)
    assert dropped == 0
    for name in ("of_BxS", "guide_BxS", "segments_BxW", "positions_BxW"):
        np.testing.assert_array_equal(getattr(units, name), getattr(batch.tokens.units, name), err_msg=name)


@settings(max_examples=40)
@given(rows=ROWS, room=st.sampled_from([1, 3, 6]))
def test_ends_without_room_are_passed_over_and_counted(rows, room):
    """A row has units as far as there is room; what follows sees the newest of its own piece, and none of another."""
    batch, ends = by_layout(rows)
    units, dropped = by_model(ends, batch.tokens.segments_BxS, batch.tokens.positions_BxS, room)
    live = batch.tokens.segments_BxS > 0
    assert dropped == (live & ends & (batch.tokens.units.of_BxS >= room)).sum()
    np.testing.assert_array_equal(units.of_BxS, np.minimum(batch.tokens.units.of_BxS, room))
    for name in ("segments_BxW", "positions_BxW"):
        np.testing.assert_array_equal(getattr(units, name), getattr(batch.tokens.units, name)[:, :room], err_msg=name)
    for row in range(2):
        newest = -1
        for t in np.flatnonzero(live[row]):
            of = batch.tokens.units.of_BxS[row, t]
            newest = -1 if batch.tokens.positions_BxS[row, t] == 0 else newest
            newest = of if ends[row, t] and of < room else newest
            assert units.guide_BxS[row, t] == newest, (row, t)


@settings(max_examples=20)
@given(rows=ROWS)
def test_moved_since_counts_from_where_the_guide_became_another(rows):
    """An offset is counted within a piece, from the position at which its guide is new."""
    batch, _ = by_layout(rows)
    since = by_counting(batch.tokens.units.guide_BxS, batch.tokens.segments_BxS, batch.tokens.positions_BxS)
    for row in range(2):
        expected, before = 0, None
        for t in np.flatnonzero(batch.tokens.segments_BxS[row]):
            guide = batch.tokens.units.guide_BxS[row, t]
            new = guide != before or batch.tokens.positions_BxS[row, t] == 0
            expected, before = 0 if new else expected + 1, guide
            assert since[row, t] == expected, (row, t)


def test_guides_of_the_next_piece_do_not_go_on_counting():
    """Two pieces without a guide look alike, and are two."""
    positions = Positions(jnp.array([[1, 1, 2, 2]]), jnp.array([[0, 1, 0, 1]]))
    assert moved_since(jnp.full((1, 4), -1), positions).tolist() == [[0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("text", "starts"),
    [("hello world, foo_bar 12.5", [0, 1, 6, 12, 17, 21, 24]), ("naïve café", [0, 1, 3, 7, 11])],
)
def test_space_patches_of_blt(text, starts):
    """BLT's patches at spaces (reference/models.md 8) are `spacelike` under `revealed`; that its second patch starts
    with the second symbol, whatever that is, is `bos` being a unit here."""
    data = text.encode()
    closed = make_splitter("spacelike").split(data).closed
    ends = np.flatnonzero(revealed_ends(closed, 64))
    assert sorted({0, 1, *(ends + 1).tolist()}) == starts
