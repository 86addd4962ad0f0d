"""Vocabularies: exact bytes, specials, serialisation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.text.alphabet import ALPHABETS
from lexitok.text.vocabulary import Vocabulary, byte_vocabulary

SMALL = Vocabulary((b"a", b"", b"bc", b"", b"\xff\x00"), frozenset({1, 3}), bos=1, eot=3, pad=3)


def test_decode_joins_exact_bytes_and_leaves_specials_out():
    """The bytes of a text are what everything is measured on."""
    assert SMALL.decode([1, 0, 2, 4, 3]) == b"abc\xff\x00"
    assert SMALL.decode([]) == b""


@pytest.mark.parametrize("bad", [-1, 5])
def test_decode_names_an_id_that_is_out_of_range(bad):
    """A negative id would silently read from the end of the table."""
    with pytest.raises(ValueError, match=rf"id {bad} at position 1 .*0 to 4"):
        SMALL.decode([0, bad])


@given(st.lists(st.binary(max_size=5), min_size=3, max_size=20))
def test_bytes_and_back(tokens):
    """A checkpoint has to give back the very vocabulary that it was trained with."""
    vocabulary = Vocabulary((b"", *tokens), frozenset({0}), bos=0, eot=0, pad=0)
    again = Vocabulary.from_bytes(vocabulary.to_bytes())
    assert again == vocabulary and again.fingerprint == vocabulary.fingerprint


def test_fingerprint_sees_every_token():
    """A vocabulary that does not match a checkpoint is found by its fingerprint."""
    swapped = Vocabulary((b"bc", b"", b"a", b"", b"\xff\x00"), SMALL.specials, bos=1, eot=3, pad=3)
    assert swapped.fingerprint != SMALL.fingerprint


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b'{"format": "other"}', SMALL.to_bytes()[:-5]])
def test_damaged_vocabularies_are_refused(data):
    """Half a vocabulary would decode to other text."""
    with pytest.raises(ValueError, match="not a vocabulary"):
        Vocabulary.from_bytes(data)


def test_specials_have_no_bytes():
    """A special with bytes would be counted as text."""
    with pytest.raises(ValueError, match="zero bytes"):
        Vocabulary((b"a", b"b"), frozenset({1}), bos=1, eot=1, pad=1)
    with pytest.raises(ValueError, match="not among the specials"):
        Vocabulary((b"a", b""), frozenset({1}), bos=0, eot=1, pad=1)


@pytest.mark.parametrize("name", ALPHABETS)
def test_byte_vocabulary_decodes_as_its_alphabet(name):
    """Two ways to say what a byte symbol is must not differ."""
    alphabet = ALPHABETS[name]
    vocabulary = byte_vocabulary(alphabet)
    assert vocabulary.size == alphabet.size
    assert [vocabulary.decode([i]) for i in range(alphabet.size)] == [
        alphabet.decode([i]) for i in range(alphabet.size)
    ]


def test_byte_fallback_is_told_by_what_is_there_twice():
    """All bytes in their order, and other ids for some of them; without these they are all the tokens there are."""
    every = tuple(bytes([byte]) for byte in range(256))
    once = Vocabulary((b"", *every, b"ab"), frozenset({0}), bos=0, eot=0, pad=0)
    twice = Vocabulary((b"a", b"", *every, b"ab", b"b"), frozenset({1}), bos=1, eot=1, pad=1)
    assert once.byte_fallback == frozenset() and once.ids_of_bytes[b"a"] == (98,)
    assert twice.byte_fallback == frozenset(range(2, 258))
    assert twice.ids_of_bytes[b"a"] == (0, 99) and twice.ids_of_bytes[b"b"] == (259, 100)
    assert twice.ids_of_bytes[b"ab"] == (258,) and b"" not in twice.ids_of_bytes
