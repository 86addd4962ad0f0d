"""A Unigram tokenizer made from parts: the best segmentation, of any bytes, and as others read it."""

import functools
import pickle

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.patterns import GPT2
from lexitok.text.tokenizer_files import tokenizer_from_bytes
from lexitok.text.vocabulary import Tokenizer

BYTES = [bytes([byte]) for byte in range(256)]
LONGER = [b"ab", b"ba", b"aba", b"abb", b"bb", "ß".encode(), "ßa".encode(), b"\x9fa", b"  ", b"\n\n", b"<pad>", b" a"]
pieces = st.one_of(st.sampled_from(("⟨bos⟩".encode(), b"<pad>", "ßa".encode())), st.binary(max_size=4))
any_bytes = st.lists(pieces).map(b"".join)


def made(longer=LONGER, seed=0, **more):
    """Log-probabilities are small whole numbers, so that many segmentations are equally good."""
    tokens = BYTES + list(longer)
    logs = np.random.default_rng(seed).integers(-6, -2, len(tokens)).astype(np.float64)
    return UnigramTokenizer(tokens, logs, **more)


TOKENIZER = made()


def segmentations(word, tokens):
    """All ways to write a word in tokens."""
    if not word:
        yield ()
    for size in range(1, len(word) + 1):
        if word[:size] in tokens:
            yield from ((word[:size], *rest) for rest in segmentations(word[size:], tokens))


@functools.cache
def log_probabilities(seed):
    tokenizer = made(seed=seed)
    return tokenizer, dict(zip(tokenizer.vocabulary.token_bytes[3:], tokenizer.log_probabilities.tolist(), strict=True))


@given(st.text("abß", min_size=1, max_size=8), st.integers(0, 9))
def test_a_word_is_the_best_of_all_its_segmentations(word, seed):
    """Of equal sums it is the one with the longest last token, then the last but one, as the docstring promises."""
    tokenizer, logs = log_probabilities(seed)
    ways = segmentations(word.encode(), logs)
    best = max(ways, key=lambda way: (sum(map(logs.__getitem__, way)), *(len(token) for token in reversed(way))))
    assert tuple(map(tokenizer.vocabulary.token_bytes.__getitem__, tokenizer.encode(word.encode()).ids)) == best


@given(any_bytes)
def test_any_bytes_come_back(data):
    """Split characters, bytes that are no UTF-8 and what spells a special: all are text, and none is lost."""
    encoding = TOKENIZER.encode(data)
    assert TOKENIZER.vocabulary.decode(encoding.ids) == data
    assert not TOKENIZER.vocabulary.specials.intersection(encoding.ids.tolist())
    assert encoding.nbytes.sum() == len(data) and encoding.nbytes.dtype == encoding.ids.dtype == np.int32


def test_empty_text_has_no_tokens():
    """The library answers with an empty list, which must still be an array of ids."""
    assert TOKENIZER.encode(b"").ids.shape == (0,)
    assert isinstance(TOKENIZER, Tokenizer)


@pytest.mark.parametrize("size", [None, 300], ids=["full", "padded"])
def test_what_a_checkpoint_keeps_is_the_same_tokenizer(size):
    """A run that is loaded again has to have the ids that it was trained with, down to those that are never used."""
    tokenizer = made(size=size)
    data = "⟨bos⟩ aßabba abab  \n\n ababab <pad>".encode() + b"\xff\xc3"
    assert tokenizer.vocabulary.size == (3 + 256 + len(LONGER) if size is None else size)
    for again in (tokenizer_from_bytes(tokenizer.to_bytes()), pickle.loads(pickle.dumps(tokenizer))):
        assert again.vocabulary.fingerprint == tokenizer.vocabulary.fingerprint
        np.testing.assert_array_equal(again.encode(data).ids, tokenizer.encode(data).ids)


def test_scores_survive_a_file_whatever_they_are():
    """Readers that parse 17 digits carelessly would decide ties in another way: there are never so many digits."""
    logs = np.random.default_rng(0).normal(-9, 3, 256)
    tokenizer = UnigramTokenizer(BYTES, logs)
    np.testing.assert_allclose(tokenizer.log_probabilities, logs, rtol=0, atol=2**-13)
    assert all(len(repr(score).strip("-").replace(".", "")) <= 15 for score in tokenizer.log_probabilities.tolist())


def test_other_libraries_read_the_file():
    """`tokenizer_json` is for them: text gives the same ids, and specials are what they are spelled as."""
    library = tokenizers.Tokenizer.from_str(TOKENIZER.tokenizer_json().decode())
    text = "it's aßabba, abab\n\n\tababab  ab 世界"
    assert library.encode(text).ids == TOKENIZER.encode(text.encode()).ids.tolist()
    assert library.decode(library.encode(text).ids) == text
    assert library.encode("⟨bos⟩a⟨eos⟩⟨pad⟩").ids == [0, library.token_to_id("a"), 1, 2]


def test_tokens_lie_within_words():
    """A token that reaches over a word's end is never used; which words there are is the pattern's to say."""
    tokenizer = made([b"a\n", b"a b", "\u093e\u0915".encode()])
    assert len(tokenizer.encode(b"a\na b").ids) == 5
    hindi = "\u0915\u093e\u0915".encode()  # the middle one is a mark, a vowel sign
    assert len(tokenizer.encode(hindi).ids) == 4
    assert len(made(["\u093e\u0915".encode()], pattern=GPT2).encode(hindi).ids) == 9


@pytest.mark.parametrize(
    "tokens, logs, more, message",
    [
        (BYTES, np.zeros(3), {}, "256 tokens have 3 log-prob"),
        ([*BYTES, b"ab"], np.append(np.zeros(256), -np.inf), {}, "b'ab' is -inf; it must be finite"),
        ([*BYTES, b""], np.zeros(257), {}, "token 256 is empty"),
        ([*BYTES, b"ab", b"a"], np.zeros(258), {}, "b'a' is there twice"),
        (BYTES[:-1], np.zeros(255), {}, "1 of the 256 single bytes are no tokens, the first are ff"),
        (BYTES, np.zeros(256), {"size": 258}, "259 ids does not fit into 258"),
        (BYTES, np.zeros(256), {"pattern": "("}, "no regular expression"),
    ],
)
def test_parts_that_make_no_tokenizer_are_refused(tokens, logs, more, message):
    """A step of training would else fail far from here, or quietly lose text."""
    with pytest.raises(ValueError, match=message):
        UnigramTokenizer(tokens, logs, **more)
