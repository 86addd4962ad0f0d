"""The longest token that ends at a byte, against a search through all tokens."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexitok.text.suffix_trie import suffix_trie

FEW = st.binary(max_size=6).map(lambda data: bytes(b"ab\xff\x00"[x % 4] for x in data))


def search(tokens: tuple[bytes, ...], data: bytes) -> int:
    """The last id among the longest tokens that `data` ends with."""
    return max((len(t), i) for i, t in enumerate((*tokens, b"")) if data.endswith(t) and (t or i == len(tokens)))[1]


@settings(max_examples=150)
@example([b"\x00" * 4, b"", b"\xff" + b"\x00" * 3], b"\x00" * 5)
@example([b"aba", b"a", b"a"], b"ababa")
@given(st.lists(FEW, min_size=1, max_size=30), FEW)
def test_finds_the_longest_token(tokens, data):
    """Few distinct bytes make many tokens that are suffixes of each other, and doubles."""
    if not any(tokens):
        return
    trie = suffix_trie(tuple(tokens))
    for end in range(len(data) + 1):
        found = search(tuple(tokens), data[:end])
        assert trie.find(data, end) == (found if found < len(tokens) else -1)


def test_many_tokens():
    """Nodes with many children must all find a place, and each token of a large vocabulary is found."""
    rng = np.random.default_rng(0)
    tokens = tuple({rng.bytes(n) for n in (1, 2, 2, 2, 3, 3) for _ in range(500)})
    trie = suffix_trie(tokens)
    assert trie.longest == 3 and trie.cells.dtype == np.int32
    assert all(trie.find(b"\x07" + token, 1 + len(token)) == search(tokens, b"\x07" + token) for token in tokens[::25])
    taken = trie.cells[:, 1] >= 0
    assert taken.sum() == len({token[i:] for token in tokens for i in range(len(token))})
    assert len(trie.cells) < 1.2 * taken.sum() + 600  # compact
    assert (trie.cells[:, 0] + 255 < len(trie.cells)).all()  # any base + byte is a cell


def test_nothing_to_look_for():
    """A vocabulary of specials alone is a mistake of who gives it."""
    with pytest.raises(ValueError, match="none of the 2 tokens has any bytes"):
        suffix_trie((b"", b""))
