"""The work that symbols bring, against the index arrays of `lexitok.data.layout`, for every rule and splitter."""

from collections import deque

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples import Pairs

from lexitok import config as C
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import make_piece
from lexitok.inference.queues import Close, Read, next_call
from lexitok.text.splitters import SPLITTERS

TEXT = st.text(st.sampled_from([*"abXY123 .,'\n\t-é世界ก็한אב", "\u0301", "\u200d", "🌝", "🇩"]), max_size=40)
RULES = ("lagged", "end_symbol", "revealed", "fused")


def check_row(encoder, text):
    """Reads a whole document into a row, and compares what it brings with what training makes of the document."""
    document = encoder.encode(text)
    piece = make_piece(document, 0, len(document))
    reads, closes, seen = [], [], []
    row = encoder.rule.cursor()
    asked_for = np.append(True, document.predicted[:-1])  # further slots are read without being asked for
    for symbol in piece.symbols[asked_for].tolist():
        for item in row.push(symbol):
            if isinstance(item, Close):
                closes.append(item)
            else:
                reads.append(item)
                seen.append(len(closes) - 1)
    assert [read.symbol for read in reads] == piece.symbols.tolist()
    assert [read.position for read in reads] == list(range(len(reads))) and row.length == len(reads)
    assert seen == piece.guide_of.tolist()
    for index, close in enumerate(closes):
        of_unit = np.flatnonzero(piece.unit_of == index)
        assert close == (index, of_unit[0], of_unit[-1] + 1)
    return piece, reads


@pytest.mark.parametrize("digits", ["free", "right3"])
@pytest.mark.parametrize("splitter", list(SPLITTERS))
@pytest.mark.parametrize("boundary", RULES)
@settings(max_examples=12, deadline=None)
@example(b"1234567890123 12,5")
@given(TEXT.map(str.encode) | st.binary(max_size=30))
def test_same_as_layout(boundary, splitter, digits, text):
    """A position must be guided by the unit that training guided it by, and units must hold the same positions."""
    c = C.default_config().text
    c.boundary, c.splitter, c.digits, c.max_unit_bytes, c.stride = boundary, splitter, digits, 6, 3
    check_row(make_encoder(c), text)


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("splitter", ["whitespace", "tokens"])
@settings(max_examples=25, deadline=None)
@given(TEXT.map(str.encode))
def test_slots_and_own_units(splitter, slots, text):
    """Under `end_symbol`, a position knows its own unit, and the slots that open it are told from the rest."""
    c = C.default_config().text
    c.boundary, c.splitter, c.max_unit_bytes, c.slots = "end_symbol", splitter, 6, slots
    piece, reads = check_row(make_encoder(c, Pairs() if splitter == "tokens" else None), text)
    assert [read.unit for read in reads] == piece.unit_of.tolist()
    first = np.searchsorted(piece.unit_of, piece.unit_of)
    offset = np.arange(len(reads)) - first
    assert [read.slot for read in reads] == np.where(offset < slots, offset, -1).tolist()


@settings(max_examples=25, deadline=None)
@given(TEXT.map(str.encode))
def test_units_of_tokens(text):
    """Under `fused`, no splitter is asked: a tokenizer would have to look ahead."""
    c = C.default_config().text
    c.boundary, c.splitter, c.max_unit_bytes = "fused", "tokens", 6
    check_row(make_encoder(c, Pairs()), text)


@pytest.mark.parametrize("kind", ["bytes", "byte_units"])
def test_no_units_to_close(kind):
    """Where every symbol is a unit, or the model finds them, there is only reading to be done."""
    c = C.default_config().text
    c.kind, c.boundary, c.splitter = kind, "revealed", "model"
    row = make_encoder(c).rule.cursor()
    assert [item for symbol in (256, 97, 32) for item in row.push(symbol)] == [Read(256, 0), Read(97, 1), Read(32, 2)]


def test_calls_keep_the_order():
    """Work that does not fit in a call waits, so that no symbol is read before the units that guide it."""
    closes = [Close(i, i, i + 1) for i in range(4)]
    queues = [deque([Read(9, 0), *closes, Read(8, 1), Read(7, 2)]), deque()]
    calls = []
    while any(queues):
        calls.append(next_call(queues, chunk=8))
    assert [call.reads.symbols_BxT.shape for call in calls] == [(2, 8), (2, 8)]
    assert [call.closes.index_BxC.shape for call in calls] == [(2, 2), (2, 2)]
    live = [call.reads.positions_BxT[0] >= 0 for call in calls]
    assert [call.reads.symbols_BxT[0][at].tolist() for call, at in zip(calls, live, strict=True)] == [[9], [8, 7]]
    assert [call.reads.seen_BxT[0][at].tolist() for call, at in zip(calls, live, strict=True)] == [[0], [2, 2]]
    assert np.concatenate([call.closes.index_BxC[0] for call in calls]).tolist() == [0, 1, 2, 3]
    assert (calls[0].reads.positions_BxT[1] == -1).all()


def test_calls_for_one_symbol():
    """Where no row has more than one symbol, a call is for one, and units that are complete come one a call."""
    queues = [deque([Close(0, 0, 1), Close(1, 1, 2), Read(9, 2)]), deque([Read(8, 5)])]
    first, second = next_call(queues, chunk=8), next_call(queues, chunk=8)
    assert first.reads.symbols_BxT[:, 0].tolist() == [-1, 8] and second.reads.symbols_BxT[:, 0].tolist() == [9, -1]
    assert [call.closes.index_BxC[0, 0] for call in (first, second)] == [0, 1]
    assert next_call([deque([Read(9, 3)])], chunk=8).closes.index_BxC.shape == (1, 0)


def test_calls_for_the_slots_of_a_unit():
    """A word that begins does not cost the model a whole chunk, and one more symbol does."""
    opened = [Close(0, 0, 5), *(Read(7, 5 + i, 1, i) for i in range(4))]
    call = next_call([deque(opened), deque([Read(8, 5)])], chunk=8, slots=4)
    assert call.reads.symbols_BxT.tolist() == [[7, 7, 7, 7], [8, -1, -1, -1]]
    assert call.reads.slots_BxT[0].tolist() == [0, 1, 2, 3] and call.closes.index_BxC.tolist() == [[0], [-1]]
    assert next_call([deque([*opened, Read(8, 9)])], chunk=8, slots=4).reads.symbols_BxT.shape == (1, 8)
    assert next_call([deque([Read(8, 9)])], chunk=8, slots=4).reads.symbols_BxT.shape == (1, 1)


def test_calls_without_closes():
    """A model that finds its units is told of none."""
    assert next_call([deque([Read(9, 3)])], chunk=8, routed=True).closes is None
