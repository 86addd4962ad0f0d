"""What each splitter does, by example."""

import numpy as np
import pytest

from lexitok.text.splitters import SPLITTERS, make_splitter


def units(name: str, text: str | bytes, **options) -> list[bytes]:
    data = text.encode() if isinstance(text, str) else text
    ends = make_splitter(name, **options).split(data).ends().tolist()
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def words(name: str, text: str, **options) -> list[str]:
    return [unit.decode() for unit in units(name, text, **options)]


@pytest.mark.parametrize(
    ("text", "starts"),
    [("hello world, foo_bar 12.5", [0, 6, 12, 17, 21, 24]), ("naïve café", [0, 3, 7, 11]), (" a", [0])],
)
def test_spacelike(text, starts):
    """SpaceByte's boundaries, and a unit that ends with the boundary byte is known to be complete there and then."""
    segmentation = make_splitter("spacelike").split(text.encode())
    assert np.flatnonzero(segmentation.starts).tolist() == starts
    ends = np.array(starts[1:], int)
    assert segmentation.closed.tolist() == [(ends - 1 <= t).sum() for t in range(len(text.encode()))]


def test_whitespace():
    """HAT v1: whitespace belongs to the word before it; Unicode's whitespace, not ASCII's, nor Python's."""
    assert words("whitespace", " \tif x:\n\n  y\u00a0z\u3000\x85w\x1cv") == [
        " \t",
        "if ",
        "x:\n\n  ",
        "y\u00a0",
        "z\u3000\x85",
        "w\x1cv",
    ]


def test_stride_counts_bytes():
    """A unit of `stride` is known at its last byte, also when that is the last of the text."""
    segmentation = make_splitter("stride", stride=3).split(b"abcdef")
    assert segmentation.starts.tolist() == [True, False, False, True, False, False]
    assert segmentation.closed.tolist() == [0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("limit", "text", "expected"),
    [
        (10, "verylongword", ["verylongwo", "rd"]),
        (2, "für", ["f", "ü", "r"]),
        (2, "🌝", ["🌝".encode()[:2], "🌝".encode()[2:]]),
        (3, "a🌝", ["a", "🌝".encode()[:3], "🌝".encode()[3:]]),
    ],
)
def test_limit_cuts_between_characters_where_it_can(limit, text, expected):
    """A unit never exceeds the limit and never loses a byte; characters stay whole unless one alone is too long."""
    for name in ("unicode_words", "whitespace"):
        got = units(name, text, max_unit_bytes=limit)
        want = [w if isinstance(w, bytes) else w.encode() for w in expected]
        assert got == want


@pytest.mark.parametrize(
    ("name", "digits", "expected"),
    [
        ("unicode_words", "free", ["x86", " 1234567.", "25)", " ١٢٣٤"]),
        ("unicode_words", "single", ["x", "8", "6", " 1", *"23456", "7.", "2", "5)", " ١", "٢", "٣", "٤"]),
        ("unicode_words", "left3", ["x", "86", " 123", "456", "7.", "25)", " ١٢٣", "٤"]),
        ("unicode_words", "right3", ["x", "86", " 1", "234", "567.", "25)", " ١", "٢٣٤"]),
        ("whitespace", "right3", ["x", "86 ", "1", "234", "567", ".", "25", ") ", "١", "٢٣٤"]),
        ("whitespace", "single", ["x", "8", "6 ", *"1234567", ".", "2", "5", ") ", *"١٢٣٤"]),
    ],
)
def test_digits(name, digits, expected):
    """Digits from the left, from the right, and one by one; the glue that stays is the documented one."""
    assert words(name, "x86 1234567.25) ١٢٣٤", digits=digits) == expected


def test_digits_of_rules_on_bytes():
    """Rules on bytes cut ASCII digits, and stride keeps its own cuts beside them."""
    assert words("spacelike", "x86 1234567.25", digits="right3") == ["x", "86 ", "1", "234", "567.", "25"]
    assert words("stride", "abc1234d", stride=5, digits="right3") == ["abc", "1", "2", "34", "d"]


def test_right3_is_known_only_when_the_run_ends():
    """The grouping depends on how many digits follow, so `closed` must wait for the first byte that is none."""
    closed = make_splitter("unicode_words", digits="right3").split(b"a 12345 b").closed
    assert closed.tolist() == [0, 1, 1, 1, 1, 1, 1, 3, 3]


def test_lagged_rules_close_a_unit_with_the_next_character():
    """A multi-byte character is known at its last byte, and an invalid sequence at the byte that breaks it."""
    split = make_splitter("unicode_words").split
    assert split("a—b".encode()).closed.tolist() == [0, 0, 0, 0, 1]
    assert split("a漢".encode()).closed.tolist() == [0, 0, 0, 1]
    assert split(b"a\xe2\x80b").closed.tolist() == [0, 0, 0, 3]
    assert split(b"a\xe2\x80").closed.tolist() == [0, 0, 0]
    assert split(b"a\xffb").closed.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", SPLITTERS)
def test_empty_text(name):
    """An empty document has no units, and is no error."""
    segmentation = make_splitter(name).split(b"")
    assert len(segmentation) == 0 and len(segmentation.ends()) == 0 and len(segmentation.closed) == 0


def test_unknown_choices_say_what_exists():
    """A typo in a config must tell the user the names that work."""
    with pytest.raises(
        ValueError, match="no splitter is called 'bpe'; there are: whitespace, unicode_words, spacelike, stride"
    ):
        make_splitter("bpe")
    with pytest.raises(ValueError, match="there are: free, single, left3, right3"):
        make_splitter("stride", digits="triples")
    with pytest.raises(ValueError, match="max_unit_bytes is 0"):
        make_splitter("stride", max_unit_bytes=0)
    with pytest.raises(ValueError, match="stride is 0"):
        make_splitter("stride", stride=0)
