"""The work that symbols bring, against the index arrays of `lexitok.data.layout`, for every splitter."""

from collections import deque

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexitok import config as C
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import make_piece
from lexitok.inference.rows import Close, EndSymbolRow, LaggedRow, Read, next_call
from lexitok.text.splitters import SPLITTERS

TEXT = st.text(st.sampled_from([*"abXY123 .,'\n\t-é世界ก็한אב", "\u0301", "\u200d", "🌝", "🇩"]), max_size=40)


def make_row(encoder):
    return LaggedRow(encoder.splitter) if encoder.end_of_unit is None else EndSymbolRow(encoder.end_of_unit)


@pytest.mark.parametrize("digits", ["free", "single", "left3", "right3"])
@pytest.mark.parametrize("splitter", list(SPLITTERS))
@pytest.mark.parametrize("boundary", ["lagged", "end_symbol"])
@settings(max_examples=25, deadline=None)
@example(b"1234567890123 12,5")
@given(TEXT.map(str.encode) | st.binary(max_size=30))
def test_same_as_layout(boundary, splitter, digits, text):
    """A position must be guided by the unit that training guided it by, and units must hold the same positions."""
    c = C.default_config().text
    c.boundary, c.splitter, c.digits, c.max_unit_bytes, c.stride = boundary, splitter, digits, 6, 3
    encoder = make_encoder(c)
    document = encoder.encode(text)
    piece = make_piece(document, 0, len(document))
    row, closes = make_row(encoder), []
    for position, symbol in enumerate(piece.symbols.tolist()):
        for item in row.push(symbol):
            if isinstance(item, Close):
                closes.append(item)
            else:
                assert item[:2] == (symbol, position)
                assert len(closes) - 1 == piece.guide_of[position]
                if boundary == "end_symbol":
                    assert item.unit == piece.unit_of[position]
                    assert item.opens == (position == 0 or piece.unit_of[position - 1] < item.unit)
    for index, close in enumerate(closes):
        of_unit = np.flatnonzero(piece.unit_of == index)
        assert close == (index, of_unit[0], of_unit[-1] + 1)


def test_calls_keep_the_order():
    """Work that does not fit in a call waits, so that no symbol is read before the units that guide it."""
    closes = [Close(i, i, i + 1) for i in range(4)]
    queues = [deque([Read(9, 0, 0, 0), *closes, Read(8, 1, 0, 0), Read(7, 2, 0, 0)]), deque()]
    calls = []
    while any(queues):
        calls.append(next_call(queues, chunk=8))
    assert [call.reads_BxTx5.shape for call in calls] == [(2, 8, 5), (2, 8, 5)]
    assert [call.closes_BxCx3.shape for call in calls] == [(2, 2, 3), (2, 2, 3)]
    read = [call.reads_BxTx5[0][call.reads_BxTx5[0, :, 1] >= 0] for call in calls]
    assert [part[:, 0].tolist() for part in read] == [[9], [8, 7]]
    assert [part[:, 4].tolist() for part in read] == [[0], [2, 2]]  # units that the call closes before
    assert np.concatenate([call.closes_BxCx3[0, :, 0] for call in calls]).tolist() == [0, 1, 2, 3]
    assert (calls[0].reads_BxTx5[1] == -1).all()


def test_calls_for_one_symbol():
    """Where no row has more than one symbol, a call is for one, and units that are complete come one a call."""
    queues = [deque([Close(0, 0, 1), Close(1, 1, 2), Read(9, 2, 0, 0)]), deque([Read(8, 5, 0, 0)])]
    first, second = next_call(queues, chunk=8), next_call(queues, chunk=8)
    assert first.reads_BxTx5[:, 0, 0].tolist() == [-1, 8] and second.reads_BxTx5[:, 0, 0].tolist() == [9, -1]
    assert [call.closes_BxCx3[0, 0, 0] for call in (first, second)] == [0, 1]
    assert next_call([deque([Read(9, 3, 0, 0)])], chunk=8).closes_BxCx3.shape == (1, 0, 3)
