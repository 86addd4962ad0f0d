"""Pieces: every symbol a target once, both budgets kept, nothing seen before it is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.data.layout import BOUNDARIES, Document, make_piece, piece_ranges, split_document
from lexitok.data.stretch import cut

BOS = 999


@st.composite
def documents(draw, boundaries=BOUNDARIES):
    """A document with units of any lengths, and a splitter that knows of their ends after any delay."""
    boundary = draw(st.sampled_from(boundaries))
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=12))
    n = sum(lengths) + 1
    ends = np.zeros(n, bool)
    ends[np.cumsum(lengths) - 1] = True
    ends[-1] = True
    if boundary == "none":
        ends[:] = True
    closed = np.cumsum(ends)
    if boundary == "lagged":
        delays = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        closed = np.maximum.accumulate([closed[max(0, t - d)] if t >= d else 0 for t, d in enumerate(delays)])
    return Document(
        symbols=np.arange(n, dtype=np.int32),
        nbytes=np.ones(n, np.int32),
        unit_ends=ends,
        closed=closed.astype(np.int32),
        boundary=boundary,
        bos=BOS,
    )


budgets = st.tuples(st.integers(1, 30), st.integers(2, 10))


@given(documents(), budgets)
def test_every_symbol_is_the_target_of_one_position(document, budget):
    """No byte is dropped and none counted twice, whatever the budgets."""
    pieces = list(split_document(document, *budget))
    assert np.concatenate([piece.targets for piece in pieces]).tolist() == document.symbols.tolist()
    assert all((piece.weights == 1).all() for piece in pieces)


@given(documents(), budgets)
def test_pieces_keep_both_budgets(document, budget):
    """A row's shape is fixed: a piece that does not fit could not be packed."""
    for piece in split_document(document, *budget):
        assert len(piece.symbols) <= budget[0]
        assert piece.units <= budget[1]
        assert piece.unit_of.max() + 1 == piece.units


@given(documents(), budgets)
def test_inputs_are_bos_and_the_targets_before(document, budget):
    """A position reads the symbol before its target, never the target itself."""
    for piece in split_document(document, *budget):
        assert piece.symbols.tolist() == [BOS, *piece.targets[:-1].tolist()]


@given(documents(("lagged", "end_symbol")), budgets)
def test_guides_are_closed_units(document, budget):
    """A guide holds all bytes of its unit: one that is still open, or that nobody knows to be closed, would leak."""
    for start, stop in piece_ranges(document, *budget):
        piece = make_piece(document, start, stop)
        assert (piece.guide_of < piece.unit_of).all()
        assert (np.diff(piece.guide_of) >= 0).all() and (np.diff(piece.unit_of) >= 0).all()
        ended_before = document.unit_ends[:start].sum()
        for position, guide in enumerate(piece.guide_of):
            last_read = start + position - 1
            known = document.closed[last_read] - ended_before if position else 0
            inner = guide - (document.boundary == "lagged")  # there, unit 0 is `bos`, closed by itself
            assert inner < max(known, 0)


@given(documents(("lagged", "end_symbol")))
def test_a_unit_is_pooled_from_its_own_symbols(document):
    """`unit_of` follows the splitter: symbols that are read are in one unit until one of them ends it."""
    piece = make_piece(document, 0, len(document))
    read_ends = document.unit_ends[: len(document) - 1]
    opens = read_ends if document.boundary == "end_symbol" else np.append(True, read_ends[:-1])
    assert np.diff(piece.unit_of).tolist() == opens.astype(int).tolist()


@given(documents(("lagged", "end_symbol")), st.integers(2, 30), st.integers(2, 10))
def test_pieces_end_at_ends_of_units_where_one_is_in_reach(document, symbols, units):
    """A unit that is cut in two is pooled from less than it holds."""
    for start, stop in piece_ranges(document, symbols, units):
        if not document.unit_ends[stop - 1]:
            assert not document.unit_ends[start:stop].any()


@given(documents(), budgets)
def test_all_pieces_at_once_are_the_pieces_one_by_one(document, budget):
    """The pipeline cuts a document by array operations; `make_piece` says what that has to give."""
    symbols, units = budget
    flat = document.boundary == "none"
    stretches = cut(document, symbols, None if flat else units)
    pieces = list(split_document(document, symbols, symbols + 1 if flat else units))
    assert stretches.lengths.tolist() == [len(piece.symbols) for piece in pieces]
    names = ("symbols", "targets", "nbytes") if flat else ("symbols", "targets", "nbytes", "unit_of", "guide_of")
    for name in names:
        found, expected = getattr(stretches, name), np.concatenate([getattr(piece, name) for piece in pieces])
        assert found.dtype == np.int32 and found.tolist() == expected.tolist(), name
    if not flat:
        assert stretches.units.tolist() == [piece.units for piece in pieces]


@given(documents(), st.data())
def test_context_has_no_weight(document, data):
    """A sliding window scores only what no window before it has scored."""
    stop = data.draw(st.integers(1, len(document)))
    scored = data.draw(st.integers(0, stop - 1))
    start = data.draw(st.integers(0, scored))
    assert make_piece(document, start, stop, scored).weights.tolist() == [0] * (scored - start) + [1] * (stop - scored)


@pytest.mark.parametrize("budget", [(0, 5), (5, 1), (0, 1)])
def test_budgets_that_make_no_progress(budget):
    """Without an error this would loop for ever."""
    document = Document(*(np.ones(3, np.int32) for _ in range(2)), np.ones(3, bool), np.arange(3), "lagged", BOS)
    with pytest.raises(ValueError, match="too small"):
        list(split_document(document, *budget))
    with pytest.raises(ValueError, match="too small"):
        cut(document, *budget)
