"""Where texts end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.inference.stops import Text


def text(symbols, *arguments):
    out = Text(*arguments)
    for symbol in symbols:
        out.add(symbol)
    return out


def test_stop_string_over_several_symbols():
    """A stop string may begin in one symbol and end in another, and is no part of the text."""
    out = text([b"one\n", b"", b"\ntwo"], 99, [b"\n\n"])
    assert out.data == b"one" and out.ended


def test_length_counts_bytes():
    """A token that reaches beyond the limit is cut, and nothing comes after."""
    out = text([b"abc", b"def", b"g"], 5)
    assert out.data == b"abcde" and out.ended
    assert text([b"abc"], 3).ended and not text([b"ab"], 3).ended
    assert text([], 0).ended


def test_stop_string_beyond_the_limit():
    """Whether a text is cut must not depend on bytes that were never generated."""
    assert text([b"ab--"], 3, [b"--"]).data == b"ab-"


@given(
    st.binary(max_size=30).map(lambda b: bytes(x % 3 + 97 for x in b)),
    st.lists(st.sampled_from([b"a", b"ab", b"bca", b"ccc", b"abcab"]), max_size=3),
    st.integers(0, 30),
    st.lists(st.integers(0, 30), max_size=8),
)
def test_grouping_changes_nothing(data, stops, limit, cuts):
    """A model of tokens and a model of bytes that bring the same bytes must end at the same one."""
    cuts = [0, *sorted(cuts), 99]
    grouped = text([data[a:b] for a, b in itertools.pairwise(cuts)], limit, stops)
    single = text([bytes([b]) for b in data], limit, stops)
    assert grouped.data == single.data
    assert grouped.ended == single.ended


def agreeing(a, b):
    """How many bytes two strings begin with in common."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


letters = st.binary(max_size=12).map(lambda b: bytes(x % 3 + 97 for x in b))
stop_strings = st.lists(letters.filter(bool), max_size=3).filter(
    lambda stops: not any(a in b[:-1] for a in stops for b in stops)  # `b` would never be the first to be complete
)


@given(letters, stop_strings, st.integers(1, 16), st.lists(st.integers(0, 12), max_size=4))
def test_what_is_sure_stays_and_nothing_else(data, stops, limit, cuts):
    """Bytes are sure if no way to go on takes them away. The ways that could are to complete a stop string."""
    out, before = Text(limit, stops), 0
    for a, b in itertools.pairwise([0, *sorted(cuts), 12]):
        out.add(data[a:b])
        ends = [text([out.data, stop[n:]], limit, stops).data for stop in stops for n in range(len(stop))]
        ends = [out.data] if out.ended else [out.data, *ends]
        assert out.sure == min(agreeing(end, out.data) for end in ends)
        assert out.sure >= before
        before = out.sure


@pytest.mark.parametrize("stops", [b"\n", "\n", ["\n"]])
def test_stops_of_a_wrong_type(stops):
    """A single string would be taken for a sequence of characters."""
    with pytest.raises(TypeError, match="stop"):
        Text(1, stops)


def test_settings_that_mean_nothing():
    """An empty stop string and a negative length are refused."""
    with pytest.raises(ValueError, match="empty"):
        Text(1, [b""])
    with pytest.raises(ValueError, match="max_bytes is -1"):
        Text(-1)
