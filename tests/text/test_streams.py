"""Splitters that read a byte at a time can be copied."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.config import default_config
from lexitok.text.splitters import SPLITTERS, make_splitter

TEXT = st.text(st.sampled_from([*"abXY123 .,'\n\t-é世界ก็한אב", "\u0301", "\u200d", "🌝", "🇩"]), max_size=24)


@pytest.mark.parametrize("digits", ["free", "right3"])
@pytest.mark.parametrize("splitter", list(SPLITTERS))
@settings(max_examples=10, deadline=None)
@given(TEXT.map(str.encode), TEXT.map(str.encode), TEXT.map(str.encode))
def test_a_copy_goes_on_by_itself(splitter, digits, head, one, other):
    """Rows of a decoder are copied in mid-text, in mid-character too: what one goes on with is not the other's."""
    c = default_config().text
    made = make_splitter(splitter, max_unit_bytes=6, stride=c.stride, digits=digits)
    cut = max(0, len(head) - 1)
    stream = made.stream()
    for byte in head[:cut]:
        stream.push(byte)
    copied = copy.deepcopy(stream)
    for text, ours in ((one, copied), (other, stream)):
        afresh = made.stream()
        for byte in head[:cut]:
            afresh.push(byte)
        assert [ours.push(byte) for byte in text] == [afresh.push(byte) for byte in text]
