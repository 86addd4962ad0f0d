"""Evaluation windows: every symbol of every document scored once, with context before it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.config import default_config
from lexitok.data.batch import Budget, row_seeds
from lexitok.data.encoders import make_encoder
from lexitok.data.ranges import ranges
from lexitok.data.windows import eval_batches
from lexitok.text.alphabet import InvalidUtf8Error

texts = st.lists(st.sampled_from([b"a", b"bc ", b" ", b"def", b"x" * 20, b"\n"]), max_size=40).map(b"".join)


@settings(deadline=None)
@given(documents=st.lists(texts, max_size=4), symbols=st.integers(8, 40), units=st.integers(2, 20),
       overlap=st.sampled_from([0.0, 0.3, 0.5, 0.9]))  # fmt: skip
def test_every_symbol_is_scored_once(encoder, documents, symbols, units, overlap):
    """An evaluation is a sum over all bytes: none may be missing, none may count twice."""
    streams = [encoder.encode(data) for data in documents]
    times = [np.zeros(len(stream), int) for stream in streams]
    for batch, scored_ranges in eval_batches(documents, encoder, rows=3, symbols=symbols, units=units, overlap=overlap):
        assert batch.tokens.symbols_BxS.shape == (3, symbols)
        scored = 0
        for found in scored_ranges:
            stream = streams[found.document]
            columns, at = (slice(begin, begin + found.length) for begin in (found.column, found.start))
            times[found.document][at] += 1
            predicted = stream.predicted[at]  # what is only read has no weight
            assert batch.tokens.weights_BxS[found.row, columns].tolist() == predicted.tolist()
            scored += predicted.sum()
            assert batch.tokens.targets_BxS[found.row, columns].tolist() == stream.symbols[at].tolist()
            assert batch.tokens.bytes_BxS[found.row, columns].tolist() == stream.nbytes[at].tolist()
            assert found.offset == stream.nbytes[: found.start].sum()
        assert batch.tokens.weights_BxS.sum() == scored
    assert all((count == 1).all() for count in times)


@settings(deadline=None)
@given(
    data=texts.filter(bool),
    symbols=st.integers(4, 40),
    units=st.integers(2, 20),
    overlap=st.sampled_from([0.0, 0.5, 0.75]),
)
def test_windows_keep_their_budgets_and_start_at_units(encoder, data, symbols, units, overlap):
    """Context is at most the given fraction, and begins where a unit does."""
    document = encoder.encode(data)
    budget, scored_to = Budget.of(encoder, symbols, units), 0
    for ((start, stop, scored),) in ranges([document], [budget], overlap):
        assert scored == scored_to and start <= scored < stop <= start + symbols
        assert scored - start <= overlap * symbols
        assert start in (0, scored) or document.unit_ends[start - 1]
        scored_to = stop
    assert scored_to == len(document)


def test_later_windows_see_context(encoders):
    """Without it, the first bytes of every window would be scored as if a document began there."""
    document = encoders["bytes"].encode(b"x" * 100)
    found = [window for (window,) in ranges([document], [Budget(40, None, 0)], 0.5)]
    assert found == [(0, 40, 0), (20, 60, 40), (40, 80, 60), (60, 100, 80), (80, 101, 100)]


def test_a_window_goes_to_the_first_row_that_has_room(encoders):
    """Rows have random numbers of their own (`seeds_B`), so where a document is read is a part of its score."""
    documents = [b"a" * 4, b"a" * 7, b"a", b"a" * 3]  # and an end each: to the fullest row, the third would go below
    ((batch, found),) = eval_batches(documents, encoders["bytes"], rows=3, symbols=10, units=9, overlap=0.5)
    assert [(each.row, each.column) for each in found] == [(0, 0), (1, 0), (0, 5), (2, 0)]
    assert batch.seeds_B.tolist() == row_seeds(3, 0, 0).tolist()


def test_a_document_is_named_when_it_cannot_be_encoded(encoders):
    """Evaluation reads documents without names; their number and the offset find the byte."""
    text = default_config().text
    text.alphabet = "in_bytes"
    batches = eval_batches([b"good", b"b\xfd"], make_encoder(text), rows=1, symbols=9, units=9, overlap=0.5)
    with pytest.raises(InvalidUtf8Error, match="document 1: not valid UTF-8 at byte 1"):
        list(batches)


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_overlap_is_a_fraction(encoders, overlap):
    """All context and nothing scored would never end."""
    with pytest.raises(ValueError, match="overlap"):
        list(eval_batches([b"abc"], encoders["bytes"], rows=1, symbols=2, units=3, overlap=overlap))
