"""Bytes and their units to streams: written out by hand, and against what decoding says byte by byte."""

import copy

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexitok.data.layout import make_piece
from lexitok.text.alphabet import APPENDED, doubled
from lexitok.text.boundaries import RULES, revealed_ends
from lexitok.text.boundaries.revealed import Revealing
from lexitok.text.segmentation import Segmentation, Splitter
from lexitok.text.splitters import SPLITTERS, make_splitter

TEXT = st.text(st.sampled_from([*"abXY123 .,'\n\t-é世界ก็한אב", "\u0301", "\u200d", "🌝", "🇩"]), max_size=40)
BOS, EOT, END = APPENDED.bos, APPENDED.eot, APPENDED.end_of_unit


def stream(name, text, starts, closed, slots=1, longest=99):
    """The stream of a rule, for units given as a string of `|` (one starts) and `-`."""
    units = Segmentation(np.array([c == "|" for c in starts]), np.array(closed, np.int32))
    alphabet = doubled(APPENDED) if name == "fused" else APPENDED
    symbols = np.frombuffer(text, np.uint8).astype(np.int32)
    splitter = make_splitter("whitespace", max_unit_bytes=longest)
    return RULES[name](alphabet, splitter, slots).stream(symbols, units)


def test_lagged_by_hand():
    """Units `ab`, ` `, `c`, known with the byte behind them; the end of the document is one of its own."""
    document = stream("lagged", b"ab c", "|-||", [0, 0, 1, 2])
    assert document.symbols.tolist() == [*b"ab c", EOT]
    assert document.unit_ends.tolist() == [False, True, True, True, True]
    assert document.closed.tolist() == [0, 0, 1, 2, 4]


def test_revealed_by_hand():
    """A unit ends with the byte that shows that one has: the first of the next, as the splitter sees it."""
    document = stream("revealed", b"ab c", "|-||", [0, 0, 1, 2])
    assert document.symbols.tolist() == [*b"ab c", EOT]
    assert document.unit_ends.tolist() == [False, False, True, True, True]
    assert document.closed.tolist() == [0, 0, 1, 2, 3]
    piece = make_piece(document, 0, 5)
    assert piece.unit_of.tolist() == [0, 1, 1, 1, 2] and piece.guide_of.tolist() == [0, 0, 0, 1, 2]


def test_fused_by_hand():
    """The last byte of each unit says so itself, whenever the splitter knew it."""
    document = stream("fused", b"ab c", "|-||", [0, 0, 0, 0])
    twice = APPENDED.size
    assert document.symbols.tolist() == [97, twice + 98, twice + 32, twice + 99, EOT]
    assert document.unit_ends.tolist() == [False, True, True, True, True]
    piece = make_piece(document, 0, 5)
    assert piece.unit_of.tolist() == [0, 1, 1, 2, 3] and piece.guide_of.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("slots", "symbols", "predicted", "unit_of"),
    [
        (1, [*b"ab", END, *b"c", END, EOT], [1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 2]),
        (2, [END, *b"ab", END, END, *b"c", END, END, EOT], [0, 1, 1, 1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 1, 1, 1, 2, 2]),
    ],
)
def test_end_symbols_by_hand(slots, symbols, predicted, unit_of):
    """`bos` and each symbol that closes a unit open the next; further slots stand behind them and are only read."""
    document = stream("end_symbol", b"abc", "|-|", [0, 0, 0], slots)
    assert document.symbols.tolist() == symbols
    assert document.predicted.tolist() == [bool(p) for p in predicted]
    assert document.nbytes.tolist() == [int(s < 256) for s in symbols]
    piece = make_piece(document, 0, len(document))
    assert piece.symbols.tolist() == [BOS, *symbols[:-1]] and piece.unit_of.tolist() == unit_of
    assert piece.guide_of.tolist() == [unit - 1 for unit in unit_of]
    opened = np.flatnonzero(np.diff(piece.unit_of, prepend=-1))
    for slot in range(slots):
        assert set(piece.symbols[opened + slot].tolist()) <= {BOS, END}


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.counted])
@pytest.mark.parametrize("slots", [1, 3])
def test_an_empty_document(name, slots):
    """Its end is still to be predicted."""
    document = stream(name, b"", "", [], slots)
    assert document.symbols[-1] == EOT and document.nbytes.sum() == 0 and document.predicted.sum() == 1
    assert document.unit_ends.sum() == 1 and document.closed[-1] == 1


@settings(max_examples=100, deadline=None)
@example(b"1234567890123 12,5", "unicode_words", "right3", 6)
@given(
    TEXT.map(str.encode) | st.binary(max_size=30),
    st.sampled_from(list(SPLITTERS)),
    st.sampled_from(["free", "single", "left3", "right3"]),
    st.integers(1, 9),
)
def test_units_that_reveal_themselves(data, splitter, digits, longest):
    """Training and decoding have to find the same bytes, one over whole arrays, the other in a stream; and no unit is
    longer than the longest."""
    rule = make_splitter(splitter, max_unit_bytes=longest, stride=3, digits=digits)
    segmentation = rule.split(data)
    ends = revealed_ends(segmentation.closed, longest)
    revealing = Revealing(rule)
    assert ends.tolist() == [revealing(byte) for byte in data]
    assert ends[np.diff(segmentation.closed, prepend=0) > 0].all()
    assert np.diff(np.flatnonzero(ends), prepend=-1).max(initial=0) <= longest


def test_cursors_are_copied_without_their_splitter():
    """Rows of a decoder are copied byte for byte in a search; a tokenizer that came along would cost more than all."""

    class Uncopied(Splitter):
        def __deepcopy__(self, memo):
            raise AssertionError("the splitter is copied")

    for name in ("fused", "end_symbol"):
        cursor = RULES[name](doubled(APPENDED), Uncopied()).cursor()
        cursor.push(BOS)
        copied = copy.deepcopy(cursor)
        copied.push(97)
        assert (cursor.length, copied.length) == (1, 2)
