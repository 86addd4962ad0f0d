"""Merges: those of a naive search, within words, of every byte exactly; the published example."""

import itertools
from collections import Counter

import numpy as np
import pytest
from greedy import SOURCE
from hypothesis import given, settings
from hypothesis import strategies as st
from real_parts import data_of

from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.merging.merges import MergeError, Merges, TokenSequence, find_merges
from lexitok.text.merging.tokenizer import MergedTokenizer
from lexitok.text.merging.words import PATTERNS, joins_of, sequence_of, word_starts
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.splitters import SPLITTERS
from lexitok.text.tokenizer_files import load_tokenizer, tokenizer_from_bytes
from lexitok.text.vocabulary import Vocabulary

# `a` and `b` have two ids each, as where bytes have tokens of their own; `ab` is a token that merging may arrive at.
FEW = Vocabulary((b"", b"", b"a", b"b", b"c", b"ab", b"a", b"b"), frozenset((0, 1)), bos=0, eot=0, pad=1)
EXAMPLE = (
    b"Ribonucleoprotein particles regulate mRNA stability.",
    b"mRNA stability is modulated by ribonucleoprotein factors.",
)


def naive(sequences, vocabulary, merges, compression=1.0, least=1):
    """Everything counted anew for each merge; sequences of bytes where tokens are no ids of the vocabulary."""
    rows = [list(zip(ids.tolist(), joins.tolist(), strict=True)) for ids, joins in sequences]
    first = {token: i for i, token in reversed(list(enumerate(vocabulary.token_bytes))) if token}
    bytes_of = dict(enumerate(vocabulary.token_bytes))
    before, done = sum(map(len, rows)), 0
    while done < merges and before - sum(map(len, rows)) < compression * before:
        pairs = [
            (a, b)
            for row in rows
            for (a, _), (b, joins) in itertools.pairwise(row)
            if joins and bytes_of[a] and bytes_of[b]
        ]
        if not pairs or max(Counter(pairs).values()) < least:
            break
        best = max(pairs, key=Counter(pairs).__getitem__)  # the first of them
        data = bytes_of[best[0]] + bytes_of[best[1]]
        made = first.setdefault(data, len(bytes_of))
        bytes_of[made] = data
        for n, row in enumerate(rows):
            at, out = 0, []
            while at < len(row):
                both = row[at : at + 2]
                if len(both) == 2 and (both[0][0], both[1][0]) == best and both[1][1]:
                    out.append((made, both[0][1]))
                    at += 2
                else:
                    out.append(row[at])
                    at += 1
            rows[n] = out
        done += 1
    return [[i for i, _ in row] for row in rows], bytes_of


sequences_of_few = st.lists(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from((True, True, True, False))), max_size=25), max_size=5
)


@settings(max_examples=80)
@given(
    rows=sequences_of_few, merges=st.integers(0, 12), compression=st.sampled_from((1.0, 0.3)), least=st.integers(1, 3)
)
def test_merges_are_those_of_a_search_that_counts_anew(rows, merges, compression, least):
    """Pairs, their order where they are equally common, equal bytes, overlaps: all are found by counts that follow."""
    batch = [TokenSequence(*map(np.array, zip(*row, strict=True))) for row in rows if row]
    batch = [TokenSequence(ids.astype(np.int32), joins) for ids, joins in batch]
    found, merged = find_merges(batch, FEW, merges=merges, compression=compression, least=least)
    expected, bytes_of = naive(batch, FEW, merges, compression, least)
    assert [sequence.ids.tolist() for sequence in merged] == expected
    assert dict(enumerate(found.extended.token_bytes)) == bytes_of
    for token in found.tokens:
        assert b"".join(FEW.token_bytes[i] for i in token.parts) == token.data
    saved = sum(len(a.ids) - len(b.ids) for a, b in zip(batch, merged, strict=True))
    assert sum(step.count for step in found.steps) == saved
    for again, once, before in zip(found.apply(batch), merged, batch, strict=True):  # the same, made again
        assert again.ids.tolist() == once.ids.tolist() and again.starts.tolist() == once.starts.tolist()
        assert found.extended.decode(once.ids) == FEW.decode(before.ids)  # no byte is lost
        assert once.sums(FEW.lengths[before.ids]).tolist() == found.extended.lengths[once.ids].tolist()
        inside = np.setdiff1d(np.arange(len(before.ids)), once.starts)
        assert before.joins[inside].all() and (before.ids[inside] > 1).all()  # no merge where a word starts


def test_the_published_example():
    """36 tokens, with padding and what opens texts, become 20, with what ends them: 33 and 16 of text, in 10 merges.

    The tokens before and after, and their order, are those of the authors' README (DariusFeher/dynamic-tokenization).
    """
    shared, end = ["on", "uc", "le", "op", "rote", "in"], "▁is ▁mod ulated ▁by ▁rib"
    before = [
        ["▁R", "ib", *shared, "▁particles", "▁reg", "ulate", "▁m", "R", "NA", "▁stability", "."],
        ["▁m", "R", "NA", "▁stability", *end.split(" "), *shared, "▁factors", "."],
    ]
    spelled = sorted({token for row in before for token in row})
    tokens = (b"", *(token.replace("▁", " ").encode() for token in spelled))
    vocabulary = Vocabulary(tokens, frozenset((0,)), 0, 0, 0)
    starts = [[token[0] == "▁" or token == "." for token in row] for row in before]
    batch = [
        TokenSequence(np.array([1 + spelled.index(token) for token in row], np.int32), ~np.array(new))
        for row, new in zip(before, starts, strict=True)
    ]
    merges, merged = find_merges(batch, vocabulary, merges=10)
    _check_example(merges, merged)
    assert [step.count for step in merges.steps] == [2] * 7 + [1] * 3
    _, one = find_merges(batch[:1], vocabulary, merges=10)  # alone, the other text does not matter
    assert len(one[0].ids) == 6 and len(find_merges(batch[1:], vocabulary, merges=10)[1][0].ids) == 8


def test_the_published_example_with_the_published_tokenizer():
    """That of Mistral 7B: its own words and others lead to the same; the space before a text is not counted."""
    tokenizer = load_tokenizer(data_of("mistral_common") / "tokenizer.model.v1")
    for words in ("tokenizer", "gpt2_marks", "whitespace", "spacelike"):
        batch = [sequence_of(tokenizer.encode(text), word_starts(words, tokenizer)(text)) for text in EXAMPLE]
        assert [len(sequence.ids) for sequence in batch] == [16, 17]
        merges, merged = find_merges(batch, tokenizer.vocabulary, merges=10)
        _check_example(merges, merged)
    assert [token.data for token in merges.tokens][-1] == b" regulate" and len(merges.tokens[-1].parts) == 2
    encoding = MergedTokenizer(tokenizer, merges, "tokenizer").encode(EXAMPLE[0])
    assert encoding.nbytes.tolist() == [17, 10, 9, 5, 10, 1] and encoding.lossy


def _check_example(merges, merged):
    shown = [[merges.extended.token_bytes[i].decode() for i in sequence.ids] for sequence in merged]
    assert shown == [
        [" Ribonucleoprotein", " particles", " regulate", " mRNA", " stability", "."],
        [" mRNA", " stability", " is", " mod", "ulated", " by", " rib", "onucleoprotein", " factors", "."],
    ]


def test_texts_do_not_run_into_each_other():
    """A token joins what is before it in its own text, whatever is said of the first; the same order of equal pairs."""
    ids = np.array([2, 3], np.int32)
    batch = [TokenSequence(ids[:0], np.zeros(0, bool)), *[TokenSequence(ids[:1], np.ones(1, bool))] * 2]
    merges, merged = find_merges(batch, FEW, merges=5)
    assert not merges.steps and [len(sequence.ids) for sequence in merged] == [0, 1, 1]
    assert merges.bits == 0 and find_merges([], FEW, merges=3)[1] == []
    twice = [TokenSequence(np.array([4, 3, 4, 2], np.int32), np.array([False, True, False, True]))]
    assert find_merges(twice, FEW, merges=1)[0].steps[0][:2] == (4, 3)  # both once: the first


@pytest.fixture(scope="module")
def words_of():
    """Words by name; `own` of a tokenizer with a pattern, `kept` of the same, read again, `spaces` of SentencePiece."""
    unigram = _unigram()
    own = {
        "own": unigram,
        "kept": tokenizer_from_bytes(unigram.to_bytes()),
        "spaces": PaddedTokenizer(_sentencepiece(), 400),
    }
    named = {name: word_starts(name, SOURCE) for name in (*PATTERNS, *SPLITTERS)}
    return named | {name: word_starts("tokenizer", tokenizer) for name, tokenizer in own.items()}


@settings(max_examples=40)
@given(data=st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"the cat in 123", "im Öl  \n ö".encode()])))
def test_every_tokenizer_says_its_words(words_of, data):
    """Words start where text does, in any bytes; a tokenizer that is kept says the same of them."""
    found = {name: starts(data) for name, starts in words_of.items()}
    assert all(len(starts) == len(data) and (not data or starts[0]) for starts in found.values())
    np.testing.assert_array_equal(found["own"], found["kept"])
    np.testing.assert_array_equal(found["own"], found["gpt2_marks"])
    assert all(b" " not in word.lstrip(b" ") for word in _words(data, found["spaces"]))


def _words(data, starts):
    at = [*np.flatnonzero(starts).tolist(), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(at)]


def _unigram():
    tokens = [*(bytes([byte]) for byte in range(256)), b" the", b" cat"]
    return UnigramTokenizer(tokens, np.linspace(-9, -8, len(tokens)))


def _sentencepiece(known=[]):  # noqa: B006
    if not known:
        known.append(SentencePieceTokenizer.train([b"the cat in the hat. " * 30], kind="bpe", size=285))
    return known[0]


def test_a_token_joins_unless_a_word_starts_in_it():
    """Not where words start at its first byte, nor where it holds the end of one word and the start of another."""
    starts = np.array([1, 0, 0, 1, 0, 1, 0], bool)
    assert joins_of(np.array([1, 2, 1, 0, 2, 1]), starts).tolist() == [False, True, False, False, False, True]
    with pytest.raises(MergeError, match="the tokens stand for 3 bytes, and words start in 7"):
        joins_of(np.array([1, 2]), starts)


def test_a_merged_tokenizer_is_a_tokenizer():
    """Exact for any bytes; kept and read again, it is the same; the same bytes are one token."""
    text = b"the catcat inner the catcat\xff\xff 123123 inner" * 3
    merges, merged = find_merges(
        [sequence_of(SOURCE.encode(text), word_starts("gpt2", SOURCE)(text))], SOURCE.vocabulary, merges=9
    )
    tokenizer = MergedTokenizer(SOURCE, merges, "gpt2")
    assert tokenizer.encode(text).ids.tolist() == merged[0].ids.tolist()
    for data in (text, b"", b"catcat", b"\xff the inner"):
        found = tokenizer.encode(data)
        assert tokenizer.vocabulary.decode(found.ids) == data and found.nbytes.sum() == len(data) and not found.lossy
    text_tokens = [token for token in tokenizer.vocabulary.token_bytes if token]
    assert len(set(text_tokens)) == len(text_tokens) and len(merges.tokens) > 3
    kept = MergedTokenizer(_sentencepiece(), _merges_of(_sentencepiece()), "tokenizer")
    again = tokenizer_from_bytes(kept.to_bytes())
    assert again.vocabulary == kept.vocabulary and len(kept.merges.tokens) > 1
    for data in (b"the cat in the hat", b" hat\xff", "ö".encode()):
        assert again.encode(data).ids.tolist() == kept.encode(data).ids.tolist()


def _merges_of(tokenizer, text=b"that chat in the hatch"):
    sequence = sequence_of(tokenizer.encode(text), word_starts("tokenizer", tokenizer)(text))
    return find_merges([sequence], tokenizer.vocabulary, merges=4)[0]


def test_what_cannot_be_merged_is_refused():
    """By its name, before anything is made."""
    ids = np.array([2, 8], np.int32)
    with pytest.raises(MergeError, match="sequence 0 has the ids 2 to 8 of 8"):
        find_merges([TokenSequence(ids, np.zeros(2, bool))], FEW, merges=1)
    with pytest.raises(MergeError, match="sequence 0 has 2 tokens, and 1 that join"):
        find_merges([TokenSequence(ids, np.zeros(1, bool))], FEW, merges=1)
    for settings_ in ({"merges": -1}, {"merges": 1, "least": 0}, {"merges": 1, "compression": 1.5}):
        with pytest.raises(MergeError, match="the first is 0 or more"):
            find_merges([], FEW, **settings_)
    with pytest.raises(MergeError, match="unknown words 'wrods'; there are tokenizer, gpt2"):
        word_starts("wrods", SOURCE)
    with pytest.raises(MergeError, match="a Greedy has no words of its own"):
        word_starts("tokenizer", SOURCE)
    with pytest.raises(MergeError, match="the merges are of another vocabulary"):
        MergedTokenizer(SOURCE, Merges(FEW, (), ()), "gpt2")
    damaged = MergedTokenizer(_sentencepiece(), _merges_of(_sentencepiece()), "tokenizer").to_bytes()
    with pytest.raises(ValueError, match="a damaged tokenizer of the kind 'merged'.*does not make"):
        tokenizer_from_bytes(damaged.replace(b'"merges": [[', b'"merges": [[1'))
    with pytest.raises(ValueError, match="damaged merges: KeyError"):
        tokenizer_from_bytes(damaged.replace(b'"words"', b'"wrods"'))
