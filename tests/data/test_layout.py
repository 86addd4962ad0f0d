"""Pieces: every symbol a target once, both budgets kept, nothing seen before it is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.data.layout import cut, longest_stop, make_piece, reach
from lexitok.text.boundaries import RULES, SymbolStream

BOS = 999
UNITS = tuple(name for name, rule in RULES.items() if rule.counted)
OWN = ("revealed", "fused")  # a position sees the unit that ends with it


@st.composite
def documents(draw, boundaries=tuple(RULES)):
    """A document with units of any lengths, and a splitter that knows of their ends after any delay."""
    boundary = draw(st.sampled_from(boundaries))
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=12))
    opening, closing = "", ""
    if boundary == "end_symbol":
        opening, closing = "s" * draw(st.integers(0, 3)), "."
    stream = "".join(opening + "b" * length + closing for length in lengths) + opening + "."
    if not RULES[boundary].counted:
        ends = np.ones(len(stream), bool)
    elif boundary == "end_symbol":
        ends = np.array([kind == "." for kind in stream])
    else:
        ends = np.zeros(len(stream), bool)
        ends[np.cumsum(lengths) - 1] = True
        ends[-1] = True
    n, closed = len(stream), np.cumsum(ends)
    if boundary == "lagged":
        delays = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        closed = np.maximum.accumulate([closed[max(0, t - d)] if t >= d else 0 for t, d in enumerate(delays)])
    return SymbolStream(
        symbols=np.arange(n, dtype=np.int32),
        nbytes=np.array([kind == "b" for kind in stream], np.int32),
        unit_ends=ends,
        closed=closed.astype(np.int32),
        predicted=np.array([kind != "s" for kind in stream]),
        boundary=boundary,
        bos=BOS,
    )


budgets = st.tuples(st.integers(1, 30), st.integers(2, 10))


def ranges(stream, S, W):
    """Start and stop of each piece, one after the other."""
    start = 0
    while start < len(stream):
        stop = longest_stop(stream, start, S, W)
        yield start, stop
        start = stop


@given(documents(), budgets)
def test_every_symbol_is_the_target_of_one_position(document, budget):
    """No byte is dropped and none counted twice, whatever the budgets; what is only read has no weight."""
    pieces = cut(document, *budget)
    assert np.concatenate([piece.targets for piece in pieces]).tolist() == document.symbols.tolist()
    assert np.concatenate([piece.nbytes for piece in pieces]).tolist() == document.nbytes.tolist()
    weights = np.concatenate([piece.weights for piece in pieces])
    assert weights.tolist() == document.predicted.tolist()
    assert document.nbytes[weights > 0].sum() == document.nbytes.sum()


@given(documents(), budgets)
def test_pieces_keep_both_budgets(document, budget):
    """A row's shape is fixed: a piece that does not fit could not be packed."""
    for piece in cut(document, *budget):
        assert len(piece.symbols) <= budget[0]
        assert piece.units <= budget[1]
        assert piece.units == (0 if document.boundary == "model" else piece.unit_of.max() + 1)


@given(documents(), budgets)
def test_inputs_are_bos_and_the_targets_before(document, budget):
    """A position reads the symbol before its target, never the target itself."""
    for piece in cut(document, *budget):
        assert piece.symbols.tolist() == [BOS, *piece.targets[:-1].tolist()]


@given(documents(UNITS), budgets)
def test_guides_are_complete_units(document, budget):
    """A guide holds all bytes of its unit, and nothing after the position that sees it: one that is still open, or
    that nobody knows to be closed, would leak. The position that ends a unit may see it under some rules only."""
    for start, stop in ranges(document, *budget):
        piece = make_piece(document, start, stop)
        own = piece.guide_of == piece.unit_of
        ends_here = np.append(True, document.unit_ends[start : stop - 1])  # `bos` is a unit by itself
        assert (piece.guide_of <= piece.unit_of).all()
        assert own.tolist() == (ends_here.tolist() if document.boundary in OWN else [False] * len(own))
        assert (np.diff(piece.guide_of) >= 0).all() and piece.guide_of[0] == (0 if document.boundary in OWN else -1)
        ended_before = document.unit_ends[:start].sum()
        for position, guide in enumerate(piece.guide_of):
            known = document.closed[start + position - 1] - ended_before if position else 0
            inner = guide - (document.boundary != "end_symbol")  # elsewhere, unit 0 is `bos`, closed by itself
            assert inner < max(known, 0)


@given(documents(UNITS), budgets)
def test_units_are_runs_of_positions(document, budget):
    """Units are counted from 0 in the order of their positions: what pools them relies on it."""
    for piece in cut(document, *budget):
        assert piece.unit_of[0] == 0 and set(np.diff(piece.unit_of).tolist()) <= {0, 1}


@given(documents(UNITS))
def test_a_unit_is_pooled_from_its_own_symbols(document):
    """`unit_of` follows the splitter: symbols that are read are in one unit until one of them ends it."""
    piece = make_piece(document, 0, len(document))
    read_ends = document.unit_ends[: len(document) - 1]
    opens = read_ends if document.boundary == "end_symbol" else np.append(True, read_ends[:-1])
    assert np.diff(piece.unit_of).tolist() == opens.astype(int).tolist()


@given(documents(UNITS), st.integers(2, 30), st.integers(2, 10))
def test_pieces_end_at_ends_of_units_where_one_is_in_reach(document, symbols, units):
    """A unit that is cut in two is pooled from less than it holds."""
    for start, stop in ranges(document, symbols, units):
        if not document.unit_ends[stop - 1]:
            assert not document.unit_ends[start:stop].any()


@given(documents(("none", "model")), st.integers(1, 30))
def test_pieces_are_full_where_units_do_not_matter(document, symbols):
    """Where symbols are units, or the model finds them, nothing speaks for a shorter piece."""
    lengths = [len(piece.symbols) for piece in cut(document, symbols, symbols + 1)]
    assert all(length == symbols for length in lengths[:-1])


@given(documents(), budgets)
def test_all_pieces_at_once_are_the_pieces_one_by_one(document, budget):
    """A document is cut by array operations; `make_piece` says of one range what that has to give."""
    for W in (budget[1], None):
        pieces = cut(document, budget[0], W)
        one_by_one = [make_piece(document, *at) for at in ranges(document, budget[0], W)]
        assert len(pieces) == len(one_by_one)
        for found, expected in zip(pieces, one_by_one, strict=True):
            assert found.units == expected.units and found.others == ()
            for name in ("symbols", "targets", "nbytes", "weights", "unit_of", "guide_of"):
                x, y = getattr(found, name), getattr(expected, name)
                assert x.dtype == y.dtype and x.tolist() == y.tolist(), name


@given(documents(), budgets, st.data())
def test_reach_is_as_far_as_the_budgets_go(document, budget, data):
    """Two symbols more would be too many, or open a unit too many: pieces that could be longer waste rows."""
    S, W = budget
    start = data.draw(st.integers(0, len(document) - 1))
    stop = reach(document, start, S, W)
    piece = make_piece(document, start, stop)
    assert 0 < len(piece) <= S and piece.units <= W
    if stop + 2 <= len(document):
        more = make_piece(document, start, stop + 2)
        assert len(more) > S or more.units > W


@given(documents(), st.data())
def test_context_has_no_weight(document, data):
    """A sliding window scores only what no window before it has scored."""
    stop = data.draw(st.integers(1, len(document)))
    scored = data.draw(st.integers(0, stop - 1))
    start = data.draw(st.integers(0, scored))
    weights = make_piece(document, start, stop, scored).weights
    assert weights.tolist() == [0] * (scored - start) + document.predicted[scored:stop].tolist()


@pytest.mark.parametrize(
    ("boundary", "unit_of", "guide_of"),
    [  # `bos`, `ab`, `c`, `de` and the end, which is only predicted
        ("none", [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        ("lagged", [0, 1, 1, 2, 3, 3], [-1, 0, 0, 1, 2, 2]),
        ("revealed", [0, 1, 1, 2, 3, 3], [0, 0, 1, 2, 2, 3]),
        ("fused", [0, 1, 1, 2, 3, 3], [0, 0, 1, 2, 2, 3]),
    ],
)
def test_rules_by_hand(boundary, unit_of, guide_of):
    """What each rule makes of the same text, whose units are known with their last byte."""
    ends = np.array([False, True, True, False, True, True])
    closed = np.cumsum(ends, dtype=np.int32)
    ones = np.ones(6, np.int32)
    document = SymbolStream(np.arange(6, dtype=np.int32), ones, ends, closed, np.ones(6, bool), boundary, BOS)
    piece = make_piece(document, 0, 6)
    assert piece.unit_of.tolist() == unit_of
    assert piece.guide_of.tolist() == guide_of


@pytest.mark.parametrize("budget", [(0, 5), (5, 1), (0, 1)])
def test_budgets_that_make_no_progress(budget):
    """Without an error this would loop for ever."""
    ones = np.ones(3, np.int32)
    document = SymbolStream(ones, ones, ones > 0, np.arange(3, dtype=np.int32), ones > 0, "lagged", BOS)
    with pytest.raises(ValueError, match="too small"):
        cut(document, *budget)
