"""`aunet_words` against the published expression and against its causal form, by the `regex` package."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.splitters import make_splitter
from lexitok.text.splitters.unicode_tables import word_properties

PUBLISHED = regex.compile(r"( ?\p{L}{1,16})|\p{N}{1,3}| ?([^\s\p{L}\p{N}]){1,3}+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")
CAUSAL = regex.compile(r" ?\p{L}{1,16}|\p{N}{1,3}| ?[^\s\p{L}\p{N}]{1,3}[\r\n]*|[^\S\r\n]*[\r\n]+|[^\S\r\n]+")
LOOKS_AHEAD = regex.compile(r"\s[^\S\r\n](?=\S)|[\r\n][^\S\r\n]+[\r\n]|\s[^\S\r\n]+$")

_WORDS = ["a", "ß", "漢", "ǅ", "ʰ", "x" * 15, "x" * 16, "x" * 17, "1", "٣", "½", "Ⅻ", "1234567"]
_MARKS = ["!", "_", "€", "\u0308", "\u200d", "👩", "?!", "....", "\x1c", "\x00"]
_WHITE = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u0085", "\u2028", "\u3000"]
TEXT = st.lists(st.sampled_from([*_WORDS, *_MARKS, *_WHITE]), max_size=14).map("".join)


def units(text: str, digits: str = "free") -> list[str]:
    data = text.encode()
    ends = make_splitter("aunet_words", max_unit_bytes=512, digits=digits).split(data).ends().tolist()
    return [data[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]


def matches(expression: regex.Pattern, text: str) -> list[str]:
    return [match.group() for match in expression.finditer(text)]


@settings(max_examples=400)
@given(TEXT)
def test_is_its_causal_form(text):
    """The rule is kept in tables; the expression in its docstring is what it is meant to be."""
    assert units(text) == matches(CAUSAL, text)


@settings(max_examples=400)
@given(TEXT)
def test_is_the_published_expression_where_that_does_not_look_ahead(text):
    """Only runs of whitespace may differ from AU-Net's rule, and only the two kinds that are documented."""
    kept = LOOKS_AHEAD.sub("", text)
    while kept != text:
        text, kept = kept, LOOKS_AHEAD.sub("", kept)
    assert units(text) == matches(PUBLISHED, text)


@pytest.mark.parametrize(
    ("text", "ours", "published"),
    [
        (
            "Hello, world!\n\nIt's 12345.",
            ["Hello", ",", " world", "!\n\n", "It", "'", "s", " ", "123", "45", "."],
            None,
        ),
        ("a   b", ["a", "   ", "b"], ["a", "  ", " b"]),
        ("\n  \n", ["\n", "  \n"], ["\n  \n"]),
        ("if x:\n    y", ["if", " x", ":\n", "    ", "y"], ["if", " x", ":\n", "   ", " y"]),
    ],
)
def test_examples(text, ours, published):
    """The rule by hand, and the two ways in which it is not the published one."""
    assert units(text) == ours and matches(PUBLISHED, text) == (published or ours)


def test_a_scheme_of_digits_takes_the_place_of_groups_of_three():
    """Groups that the rule cuts from the left must not mix with those that a scheme cuts from the right."""
    assert units("a 1234567½ b", digits="right3") == ["a", " ", "1", "234", "567½", " b"]


def test_letters_numbers_and_whitespace_are_those_of_another_library():
    """A code point may lack a property only because it is newer than the table; none may have one too many."""
    table = word_properties()
    text = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    for name, expression, least in (("L", r"\p{L}", 136000), ("N", r"\p{N}", 1800), ("White_Space", r"\s", 25)):
        mask = table.mask(lambda c, name=name: c.has(name))
        theirs = {ord(match.group()) for match in regex.finditer(expression, text)}
        ours = {c for c in map(ord, text) if mask[table.class_of[c]]}
        assert len(ours) >= least and ours <= theirs
        assert all(table.class_of[c] == table.other for c in theirs - ours)
