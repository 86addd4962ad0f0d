"""What must hold for every splitter on every byte string."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.splitters import SPLITTERS, make_splitter
from lexitok.text.splitters.digits import SCHEMES

_TEXT = [
    *"abCD123.,:'\"_!$=(–’éßÀ½№ℹ⁄՚٫٣४ℵאב״漢カ゛こกั한‼〰❤👩🏽🇩🇪Ⓜ",
    *(" ", "  ", "    ", "\r\n", "\n", "\r", "\t", "\v", "\u0085", "\u00a0", "\u202f", "\u2003", "\u2028", "\u3000"),
    *("\u0308", "\u200d", "\u00ad", "\ufe0f", "\u20e3", "\u200b", "\x00", "camelCase", "Wörter", "4567"),
]
_BYTES = (0x80, 0xC0, 0xC3, 0xE0, 0xE2, 0xED, 0xF0, 0x9F, 0xF4, 0xFF)
_PIECES = [*(text.encode() for text in _TEXT), *(bytes([byte]) for byte in _BYTES)]
DATA = st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=4)), max_size=12).map(b"".join)
OPTIONS = st.fixed_dictionaries(
    {
        "max_unit_bytes": st.sampled_from([1, 2, 3, 4, 5, 8, 64]),
        "stride": st.sampled_from([1, 3, 8]),
        "digits": st.sampled_from(SCHEMES),
    }
)
every_splitter = pytest.mark.parametrize("name", SPLITTERS)


@every_splitter
@settings(max_examples=80, deadline=None)
@given(data=DATA, options=OPTIONS)
def test_stream_names_what_split_says(name, data, options):
    """A model that generates uses the stream, training uses the arrays: they must agree after every byte."""
    splitter = make_splitter(name, **options)
    segmentation, stream = splitter.split(data), splitter.stream()
    ends, named = segmentation.ends().tolist(), []
    for t, byte in enumerate(data):
        named += stream.push(byte)
        assert named == ends[: segmentation.closed[t]]


@every_splitter
@settings(max_examples=80, deadline=None)
@given(prefix=DATA, one=DATA, other=DATA, options=OPTIONS)
def test_closed_depends_on_the_past_alone(name, prefix, one, other, options):
    """Causality: texts that begin alike have the same closed units at each byte of what they share."""
    splitter = make_splitter(name, **options)
    a, b, p = splitter.split(prefix + one), splitter.split(prefix + other), splitter.split(prefix)
    n = len(prefix)
    assert a.closed[:n].tolist() == b.closed[:n].tolist() == p.closed.tolist()
    closed = int(p.closed[-1]) if n else 0
    assert a.ends()[:closed].tolist() == b.ends()[:closed].tolist() == p.ends()[:closed].tolist()


@every_splitter
@settings(max_examples=80, deadline=None)
@given(data=DATA, options=OPTIONS)
def test_units_cover_the_bytes_within_the_limit(name, data, options):
    """No byte is lost, no unit is empty or longer than allowed, and `closed` only grows."""
    segmentation = make_splitter(name, **options).split(data)
    ends = [0, *segmentation.ends().tolist()]
    lengths = [b - a for a, b in pairwise(ends)]
    assert sum(lengths) == len(data) == len(segmentation.starts) == len(segmentation.closed)
    assert all(1 <= length <= options["max_unit_bytes"] for length in lengths)
    closed = [0, *segmentation.closed.tolist()]
    assert all(a <= b for a, b in pairwise(closed)) and closed[-1] <= len(lengths)


@pytest.mark.parametrize("name", ["whitespace", "unicode_words"])
@settings(max_examples=80, deadline=None)
@given(data=st.text(st.characters(max_codepoint=127), max_size=40).map(str.encode))
def test_lag_is_one_character(name, data):
    """A unit must be closed as soon as the next one has begun: a longer lag would starve the backbone."""
    segmentation = make_splitter(name).split(data)
    assert segmentation.closed.tolist() == [int(count) - 1 for count in segmentation.starts.cumsum()]


@pytest.mark.parametrize("name", ["whitespace", "unicode_words"])
@settings(max_examples=80, deadline=None)
@given(text=st.lists(st.sampled_from(_TEXT), max_size=12).map("".join), limit=st.integers(4, 64))
def test_rules_on_characters_keep_characters_whole(name, text, limit):
    """With a limit of at least four bytes no character of valid text is ever divided."""
    data = text.encode()
    ends = make_splitter(name, max_unit_bytes=limit).split(data).ends().tolist()
    for a, b in zip([0, *ends], ends, strict=False):
        assert data[a:b].decode() in text


@every_splitter
def test_long_text_without_a_boundary(name):
    """One unit of a megabyte (blanks, or for most rules a base64 blob) must be cut in time linear in its length."""
    data = b" " * 1_000_000
    segmentation = make_splitter(name, max_unit_bytes=50, stride=100).split(data)
    assert segmentation.starts.sum() == 20_000
    assert (
        make_splitter(name, max_unit_bytes=50, stride=100, digits="right3").split(b"1" * 100_000).starts.sum() >= 2_000
    )
