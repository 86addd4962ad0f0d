"""Bytes of spelled tokens, and shares of a text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from lexitok.text.shares import byte_starts, prefixed, shares
from lexitok.text.token_bytes import (
    byte_level_alphabet,
    byte_level_spelling,
    from_byte_level,
    from_byte_token,
    from_sentencepiece,
    missing_bytes,
    single_bytes,
)
from lexitok.text.vocabulary import Vocabulary


def test_the_alphabet_of_bytes():
    """Each byte has a character of its own, the same ones that the library has."""
    alphabet = byte_level_alphabet()
    assert sorted(alphabet.values()) == list(range(256))
    assert set(alphabet) == set(pre_tokenizers.ByteLevel.alphabet())
    assert (alphabet["\u0120"], alphabet["\u010a"], alphabet["\u00ff"]) == (0x20, 0x0A, 0xFF)


@given(st.binary(max_size=8))
def test_byte_level_there_and_back(data):
    """A spelling loses nothing, whatever the bytes."""
    assert from_byte_level(byte_level_spelling(data)) == data


def test_other_spellings():
    """Text in a byte-level vocabulary is itself; only whole byte tokens are bytes."""
    assert from_byte_level("<tool call>") == b"<tool call>"
    assert from_sentencepiece("\u2581\u00e9") == " \u00e9".encode()
    assert [from_byte_token(t) for t in ("<0xFF>", "<0x0a>", "<0xFFF>", "a<0x0A>")] == [b"\xff", b"\n", None, None]


def test_missing_bytes_are_named():
    """A vocabulary without 0xFF cannot hold every text, and says so; two ids may stand for one byte."""
    tokens = (b"", *(bytes([byte]) for byte in range(255)), b"A")
    vocabulary = Vocabulary(tokens, frozenset({0}), bos=0, eot=0, pad=0)
    assert missing_bytes(vocabulary) == b"\xff"
    assert single_bytes(vocabulary)[ord("A")] == (ord("A") + 1, 256) and single_bytes(vocabulary)[255] == ()


@given(st.binary(max_size=12))
def test_where_characters_begin(data):
    """Offsets of the library are in characters, and ours in bytes; a byte that is no UTF-8 is one of each."""
    text = data.decode("utf-8", "surrogateescape")
    wanted = [len(text[:i].encode("utf-8", "surrogateescape")) for i in range(len(text) + 1)]
    assert byte_starts(text).tolist() == wanted


@pytest.mark.parametrize(
    ("begins", "lengths", "total", "wanted"),
    [
        ([0, 3, 4], [3, 1, 2], 6, [3, 1, 2]),
        ([2, 5], [3, 1], 9, [5, 4]),  # dropped at the front and behind
        ([0, 1, 1, 1], [1, 1, 1, 1], 4, [1, 1, 1, 1]),  # the bytes of one character
        ([0, 0, 3], [1, 1, 1], 4, [0, 3, 1]),  # a ligature that became two letters
        ([0, 4, 3], [1, 1, 1], 5, [4, 0, 1]),  # a step back is none
        ([], [], 0, []),
    ],
)
def test_shares(begins, lengths, total, wanted):
    """Every raw byte belongs to one token."""
    got = shares(np.array(begins, np.int64), np.array(lengths, np.int32), total)
    assert got.tolist() == wanted and got.dtype == np.int32


def test_a_prefix_is_taken_off_the_first_token_with_bytes():
    """The space before a text is no byte of it."""
    assert prefixed(np.array([0, 4, 2], np.int32)).tolist() == [0, 3, 2]
