"""Vocabularies that are spelled in tokens of another."""

import numpy as np
import pytest

from lexitok.data.spelling import Spelled
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.matching import NONE

BYTES = [bytes([byte]) for byte in range(256)]


def _tokenizer(*tokens: bytes, size: int | None = None) -> UnigramTokenizer:
    logs = np.array([-20.0] * 256 + [-1.0 - len(token) / 100 for token in tokens])
    return UnigramTokenizer([*BYTES, *tokens], logs, size=size)


SOURCE = _tokenizer(b"ab", b"cd", b"abc")


def _spelled(target: UnigramTokenizer, longest: int = 4) -> dict[bytes, list[int]]:
    parts = Spelled(SOURCE, longest)(target.vocabulary).parts_VxP
    of_token = zip(target.vocabulary.token_bytes, parts, strict=True)
    return {token: row[row != NONE].tolist() for token, row in of_token if token}


def test_tokens_are_the_parts_that_spell_them():
    found = _spelled(_tokenizer(b"abcd", b"cd", b"xab"))
    token_bytes = SOURCE.vocabulary.token_bytes
    assert all(b"".join(token_bytes[i] for i in ids) == token for token, ids in found.items())
    assert [len(found[token]) for token in (b"abcd", b"cd", b"xab", b"a")] == [2, 1, 2, 1]


def test_specials_are_those_of_the_same_role_and_unused_ids_have_no_parts():
    target = _tokenizer(b"ab", size=300)
    parts = Spelled(SOURCE, 2)(target.vocabulary).parts_VxP
    assert parts[:3, 0].tolist() == [0, 1, 2]
    assert (parts[260:] == NONE).all() and parts.shape == (300, 2)


def test_parts_beyond_the_longest_are_left_out():
    assert len(_spelled(_tokenizer(b"xyzxyz"), longest=4)[b"xyzxyz"]) == 4
    with pytest.raises(ValueError, match="in 0 parts"):
        Spelled(SOURCE, 0)


def test_what_was_spelled_before_is_spelled_the_same_again():
    spell = Spelled(SOURCE, 4)
    first, again = (spell(_tokenizer(b"abcd", b"xab").vocabulary, language=3) for _ in range(2))
    np.testing.assert_array_equal(first.parts_VxP, again.parts_VxP)
    assert first.language == 3 and first.language.dtype == np.int32
    assert first.eot == _tokenizer().vocabulary.eot
