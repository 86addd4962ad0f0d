"""Continued BPE, merging and pruning, against their definitions."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_bpe import bpe, continued

from lexitok.text.adding.bpe import AnyPair, ListedMerges, replaced, settle
from lexitok.text.adding.continued import continue_merges
from lexitok.text.adding.pruning import prune_leaves

LETTERS = [bytes([b]) for b in b"abc"]
letters = st.text("abc", min_size=1, max_size=9).map(str.encode)
words = st.dictionaries(letters, st.integers(1, 6), min_size=1, max_size=5)
KINDS = ("listed", "any pair")


def vocabulary(merges, kind):
    """Rules, and spellings by id: ids are those of a vocabulary that was shuffled."""
    tokens = list(dict.fromkeys([*LETTERS, *(a + b for a, b in merges)]))
    ids = {token: (7 * i + 3) % 101 for i, token in enumerate(tokens)}
    if kind == "listed":
        return ListedMerges(ids, merges), {i: token for token, i in ids.items()}
    ranks = {ids[a + b]: rank for rank, (a, b) in reversed(list(enumerate(merges)))}
    return AnyPair(ids, ranks), {i: token for token, i in ids.items()}


@st.composite
def merge_lists(draw):
    """Merges of what is there already, as a trainer of any kind may have made them: some are out of reach."""
    tokens, merges = list(LETTERS), []
    for _ in range(draw(st.integers(0, 5))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if pair not in merges and sum(map(len, pair)) < 8:
            merges.append(pair)
            tokens.append(pair[0] + pair[1])
    return merges


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(merges=merge_lists(), word=letters)
def test_a_word_is_merged_by_rank_and_from_the_left(kind, merges, word):
    """The heap gives what looking through the whole word again and again gives."""
    rules, spelled = vocabulary(merges, kind)
    found = settle([rules.ids[word[i : i + 1]] for i in range(len(word))], rules)
    expected = bpe([rules.ids[word[i : i + 1]] for i in range(len(word))], rules.merged)
    assert found == expected and b"".join(spelled[i] for i in found) == word


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(merges=merge_lists(), words=words, count=st.integers(1, 6))
def test_bpe_goes_on_as_if_all_were_counted_anew(kind, merges, words, count):
    """Counts that follow the merges, against words that are cut from their letters before each of them."""
    rules, spelled = vocabulary(merges, kind)
    start = {w: [rules.ids[w[i : i + 1]] for i in range(len(w))] for w in words}
    cut = Counter()
    for word, times in words.items():
        cut[tuple(settle(start[word], rules))] += times
    found = continue_merges(
        cut, rules, spelled, ids=range(200, 200 + count), bytes_of=bytes, allowed=lambda spelling: True
    )
    spelled |= {token.id: token.spelling for token in found}
    pairs = [tuple(spelled[part] for part in token.parts or ()) for token in found]
    assert pairs == continued(words, merges, count, listed=kind == "listed")
    assert [token.id for token in found] == list(range(200, 200 + len(found)))
    assert all(settle(start[word], rules) == bpe(start[word], rules.merged) for word in words)


def test_rare_and_long_and_forbidden_tokens_are_not_made():
    """Each limit by itself."""

    def made(**limits):
        rules, spelled = vocabulary([], "listed")
        cut = {tuple(rules.ids[bytes([b])] for b in word): n for word, n in ((b"abcab", 3), (b"cc", 2))}
        how = {"bytes_of": bytes, "allowed": lambda spelling: True, **limits}
        return [token.spelling for token in continue_merges(cut, rules, spelled, ids=range(200, 220), **how)]

    assert made() == [b"ab", b"abc", b"abcab", b"cc"] and made(least=3) == [b"ab", b"abc", b"abcab"]
    assert made(longest=3) == [b"ab", b"abc", b"cc"]
    assert made(allowed=lambda spelling: spelling != b"abc") == [b"ab", b"cab", b"abcab", b"cc"]


def test_a_character_that_is_no_token_becomes_one_before_it_merges():
    """It is counted by itself, beside the pairs."""
    rules, spelled = vocabulary([], "listed")
    a = rules.ids[b"a"]
    found = continue_merges(
        {(a, -1, a): 5, (-1, -1): 2, (-2,): 1},
        rules,
        spelled | {-1: "ö".encode(), -2: "ä".encode()},
        ids=range(200, 220),
        bytes_of=bytes,
        allowed=lambda spelling: True,
    )
    assert [(token.spelling.decode(), token.parts) for token in found] == [
        ("ö", None), ("aö", (a, 200)), ("aöa", (201, a)), ("öö", (200, 200)),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(merges=merge_lists(), words=words, count=st.integers(1, 4))
def test_what_is_pruned_leaves_all_else_as_it_was(kind, merges, words, count):
    """Words without a pruned token have the same tokens; the others are spelled in what is left; letters stay."""
    rules, spelled = vocabulary(merges, kind)
    start = {w: [rules.ids[w[i : i + 1]] for i in range(len(w))] for w in words}
    before = {word: settle(ids, rules) for word, ids in start.items()}
    uses = Counter(token for word, ids in before.items() for token in ids for _ in range(words[word]))

    def characters(token):
        return [rules.ids[spelled[token][i : i + 1]] for i in range(len(spelled[token]))]

    pruned = prune_leaves(rules, uses, count, characters=characters)
    assert len(pruned) == min(count, len(set(spelled.values()) - set(LETTERS))) and len(set(pruned)) == len(pruned)
    for word, ids in start.items():
        after = settle(ids, rules)
        assert b"".join(spelled[i] for i in after) == word and not set(after) & set(pruned)
        assert after == before[word] or set(before[word]) & set(pruned)


def test_leaves_go_by_their_uses_and_leave_them_to_their_parts():
    """The least used first; what it was made of is used instead."""
    merges = [(b"a", b"b"), (b"ab", b"c"), (b"c", b"c")]
    rules, spelled = vocabulary(merges, "listed")
    ab, abc, cc = (rules.ids[token] for token in (b"ab", b"abc", b"cc"))

    def pruned(count, **limits):
        rules, _ = vocabulary(merges, "listed")
        characters = {token: [rules.ids[bytes([b])] for b in spelled[token]] for token in spelled}
        uses = {ab: 1, abc: 2, cc: 4}
        return prune_leaves(rules, uses, count, characters=characters.__getitem__, **limits)

    assert pruned(9) == [abc, ab, cc]  # ab is part of abc, and is used 3 times without it
    assert pruned(1) == [abc] and pruned(9, most_uses=2) == [abc] and pruned(9, kept={abc}) == [cc]
    assert replaced([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2]
