"""Counts of substrings: those of a plain loop over the text, whatever came and went."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.text.drawn import substrings
from lexitok.text.drawn.substrings import count_substrings, no_substrings

words = st.lists(st.text("abß世🌝\0", max_size=9).map(str.encode), max_size=6)
places = st.fixed_dictionaries({"longest": st.sampled_from((1, 3, 7, 8, 15, 16, 20)), "stride": st.integers(1, 4)})


def by_hand(some, *, longest, stride):
    """Every stretch of whole characters, one after the other."""
    found = Counter()
    for text in map(bytes.decode, some):
        stretches = (text[i:j] for i in range(0, len(text), stride) for j in range(i + 1, len(text) + 1))
        found.update(data for data in map(str.encode, stretches) if len(data) <= longest)
    return found


def as_dict(counts):
    spelled = counts.spelled(np.arange(len(counts.counts)))
    assert len(set(spelled)) == len(spelled)
    assert counts.lengths.tolist() == list(map(len, spelled))
    return dict(zip(spelled, counts.counts.tolist(), strict=True))


def counted(some, **place):
    return count_substrings(some, np.ones(len(some), np.int64), **place)


def assert_equal(one, other):
    for name in ("rows", "hashes", "counts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(words, places)
def test_substrings_are_those_of_a_plain_loop(some, place):
    """The arithmetic on whole arrays (places, masks, sums) has to find just what a loop finds, NUL bytes too."""
    assert as_dict(counted(some, **place)) == by_hand(some, **place)


@given(words, words, words, places)
def test_what_comes_and_goes_leaves_the_counts_of_what_is_there(one, two, three, place):
    """A window forgets: what is gone may leave no trace, not even in the order, or a resumed run would differ."""
    gone = count_substrings(two, np.full(len(two), -1, np.int64), **place)
    after = counted(one + two, **place).merged(counted(three, **place)).merged(gone)
    assert_equal(after, counted(three[::-1] + one[::-1], **place))


@pytest.mark.parametrize("hashes", [1, 3], ids=["all the same", "three"])
def test_substrings_of_one_hash_are_told_apart(monkeypatch, hashes):
    """Hashes only make the order quick: counts are exact if every hash collides."""
    some = [b"abcabc", b"cab", "ßab".encode()]

    def bad(rows):
        return rows[:, 0] % np.uint64(hashes)

    monkeypatch.setattr(substrings, "_hash", bad)
    found = counted(some, longest=9)
    assert as_dict(found) == by_hand(some, longest=9, stride=1)
    assert_equal(counted(some[:1], longest=9).merged(counted(some[1:], longest=9)), found)


def test_rows_are_in_the_order_of_bytes():
    """Ties among substrings are decided by the order of their rows, said to be that of their bytes."""
    found = counted([b"b", b"a\0", b"ab", b"aaaaaaaaab", "ä".encode()], longest=15)
    order = np.lexsort(found.rows.T[::-1])
    spelled = found.spelled(order)
    assert spelled == sorted(spelled)


def test_numbers_out_of_range_are_refused():
    """A length of 64 would run into the byte that holds it."""
    with pytest.raises(ValueError, match="64 bytes; it may have 1 to 63"):
        no_substrings(64)
    with pytest.raises(ValueError, match="stride is 0"):
        counted([b"a"], longest=3, stride=0)
    longest = counted([b"x" * 70], longest=63)
    assert max(as_dict(longest), key=len) == b"x" * 63
