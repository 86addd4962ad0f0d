"""Alignments must be those of a walk along both texts, whatever the tokens are."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.alignment import NONE, TEXT, TokenEnds, align, classes_of
from lexitok.text.overlap import overlap
from lexitok.text.vocabulary import Vocabulary

BOS, EOT = 1, 2


def tokens(*parts: bytes | int) -> TokenEnds:
    """Bytes are tokens of text, a number is a special of that class."""
    lengths = [0 if isinstance(part, int) else len(part) for part in parts]
    classes = [part if isinstance(part, int) else TEXT for part in parts]
    return TokenEnds(np.cumsum(lengths, dtype=np.int64), np.array(classes, np.int32))


def walked(a: TokenEnds, b: TokenEnds) -> tuple[list[int], list[int], int]:
    """The two-pointer walk that `align` replaces, for tokens of text with bytes: token by token, the side behind."""
    i = j = span = 0
    of_a, of_b = [NONE] * len(a.ends), [NONE] * len(b.ends)
    open_a, open_b = [], []
    end_a = end_b = 0
    while i < len(a.ends) or j < len(b.ends):
        if i < len(a.ends) and (end_a <= end_b or j == len(b.ends)):
            open_a.append(i)
            end_a = int(a.ends[i])
            i += 1
        else:
            open_b.append(j)
            end_b = int(b.ends[j])
            j += 1
        if end_a == end_b and open_a and open_b:
            for side, held in ((of_a, open_a), (of_b, open_b)):
                for token in held:
                    side[token] = span
                held.clear()
            span += 1
    return of_a, of_b, span


cuts = st.lists(st.integers(1, 7), max_size=60)


@settings(max_examples=300, deadline=None)
@given(cuts, cuts)
def test_spans_are_those_of_a_walk_along_both(a, b):
    """Also where one side ends before the other: what is left over has no span."""
    sides = [TokenEnds(np.cumsum(np.array(side, np.int64)), np.zeros(len(side), np.int32)) for side in (a, b)]
    found = align(*sides)
    of_a, of_b, count = walked(*sides)
    assert found.of_a.tolist() == of_a and found.of_b.tolist() == of_b and found.count == count


def test_thousands_of_random_partitions_align_as_the_walk_does():
    """Dense and sparse tokenisations, of thousands of bytes."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        length = int(rng.integers(1, 200))
        sides = []
        for chance in rng.uniform(0.05, 1.0, 2):
            ends = np.flatnonzero(rng.random(length) < chance) + 1
            ends = np.union1d(ends, [length]).astype(np.int64)
            sides.append(TokenEnds(ends, np.zeros(len(ends), np.int32)))
        found = align(*sides)
        of_a, of_b, count = walked(*sides)
        assert found.of_a.tolist() == of_a and found.of_b.tolist() == of_b and found.count == count


def test_a_span_is_as_fine_as_both_sides_allow():
    """AB|C|D against A|B|C|D has three spans: what matches after a longer one is not swallowed by it."""
    found = align(tokens(b"AB", b"C", b"D"), tokens(b"A", b"B", b"C", b"D"))
    assert found.of_a.tolist() == [0, 1, 2] and found.of_b.tolist() == [0, 0, 1, 2]
    assert found.ends.tolist() == [2, 3, 4]
    assert found.one_to_one.tolist() == [False, True, True]


def test_characters_that_a_side_splits_stay_together():
    """A token may end within a UTF-8 character: offsets are of bytes."""
    character = "語".encode()
    found = align(tokens(b"a", character[:2], character[2:], b"b"), tokens(b"a", character, b"b"))
    assert found.of_a.tolist() == [0, 1, 1, 2] and found.of_b.tolist() == [0, 1, 2]


def test_a_bos_on_one_side_only_moves_nothing():
    """It has no partner, and the tokens after it keep theirs."""
    found = align(tokens(BOS, b"ab", b"c"), tokens(b"ab", b"c"))
    assert found.of_a.tolist() == [NONE, 0, 1] and found.of_b.tolist() == [0, 1] and found.count == 2


def test_specials_are_a_class_of_their_own():
    """An end of text is aligned with an end of text, and never with text or another special at the same offset."""
    found = align(tokens(BOS, b"ab", EOT, BOS, b"c", EOT), tokens(b"a", b"b", EOT, b"c", 3, EOT, EOT))
    assert found.of_a.tolist() == [NONE, 0, 2, NONE, 1, 3]
    assert found.of_b.tolist() == [0, 0, 2, 1, NONE, 3, NONE]
    assert found.count == 4 and found.ends.tolist() == [2, 3]


def test_a_token_without_bytes_of_the_text_belongs_to_what_follows():
    """SentencePiece's space in front is not in the text; alone, it is part of the first word."""
    alone = align(tokens(b"", b"abc", b"d"), tokens(b"abc", b"d"))
    assert alone.of_a.tolist() == [0, 0, 1] and alone.of_b.tolist() == [0, 1]
    behind = align(tokens(b"abc", b""), tokens(b"abc"))
    assert behind.of_a.tolist() == [0, 0]
    assert align(tokens(b""), tokens(b"")).of_a.tolist() == [NONE]


def test_nothing_aligns_with_nothing():
    """Empty texts are there in every corpus."""
    empty = tokens()
    assert align(empty, empty).count == 0
    assert align(tokens(b"a"), empty).of_a.tolist() == [NONE]


def test_ends_that_go_backwards_are_refused():
    """They are not offsets of one text."""
    wrong = TokenEnds(np.array([3, 2], np.int64), np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="token 1 of b ends at byte 2, before the one before it"):
        align(tokens(b"abc"), wrong)


def test_two_thousand_tokens_take_milliseconds_at_most():
    """Alignment must not be what a pipeline waits for; the best of many, as other work disturbs the rest."""
    rng = np.random.default_rng(0)
    ends = np.sort(rng.choice(np.arange(1, 8000), (2, 2000), replace=False)).astype(np.int64)
    a, b = (TokenEnds(np.append(side, 8000), np.append(np.zeros(2000, np.int32), 2)) for side in ends)
    best = np.inf
    for _ in range(30):
        began = time.perf_counter()
        align(a, b)
        best = min(best, time.perf_counter() - began)
    assert best < 5e-3


def vocabulary(*texts: bytes) -> Vocabulary:
    return Vocabulary((b"", b"", *texts), frozenset({0, 1}), bos=0, eot=1, pad=1)


def test_classes_tell_text_from_the_ends_of_it():
    """`pad` is `eot` in many vocabularies, and stays the end of the text."""
    assert classes_of(vocabulary(b"a")).tolist() == [BOS, EOT, TEXT]
    found = TokenEnds.of(np.array([0, 2, 2, 1], np.int32), np.array([0, 1, 1, 0], np.int32), vocabulary(b"a"))
    assert found.ends.tolist() == [0, 1, 2, 2] and found.classes.tolist() == [BOS, TEXT, TEXT, EOT]


def test_tokens_overlap_where_their_bytes_are_equal():
    """By bytes, not by spelling; specials, which have none, do not overlap; of equals the lowest id is taken."""
    a, b = vocabulary(b"x", b" a", b"\xe8", b"q"), vocabulary(b" a", b"\xe8", b" a", b"x")
    found = overlap(a, b)
    assert list(zip(found.ids_a.tolist(), found.ids_b.tolist(), strict=True)) == [(2, 5), (3, 2), (4, 3)]
    assert len(found) == 3 and (found.tokens_a, found.tokens_b) == (4, 4)
    assert len(overlap(vocabulary(), b)) == 0
