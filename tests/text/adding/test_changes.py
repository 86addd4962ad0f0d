"""Tokenizers of every format with tokens added and pruned: read back, exact, and the same to the formats' libraries."""

import io
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.adding.bpe import replaced, settle
from lexitok.text.adding.changes import _bpe_format, change_by_list, change_by_text
from lexitok.text.adding.continued import continue_merges
from lexitok.text.adding.formats import AddingError
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.patterns import CL100K
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.token_bytes import from_byte_level
from lexitok.text.tokenizer_export import tokenizer_json
from lexitok.text.tokenizer_files import tokenizer_from_bytes

OLD = [
    b"def split(text):\n    return text.split()\n\n\nclass Splitter:\n",
    "Der Schnee fällt; the snow falls.".encode(),
] * 20
NEW = ["Die Schneeflocken fallen, 2024 fielen 1234 Schneeflocken.\n\nŽlutý kůň; 雪崩, 雪崩! <tool>\n".encode()] * 6
PIECES = ("Schneeflocken", " fallen", "Žlutý", "雪崩", "  ", "\n\n", "2024", "<tool>", "</s>", "\u2581", " the", "é")
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=8).map("".join)
OTHERS = st.lists(st.sampled_from(["snow ", "falls\n", "split(", " return", "42 ", "\t", "Der ", ";"])).map("".join)
BPE = (
    "byte_level",
    "byte_level_whole",
    "byte_fallback",
    "byte_fallback_bare",
    "metaspace",
    "ranks",
    "sentencepiece",
    "llama",
)
PRUNING = ("byte_level_whole", "byte_fallback_bare", "ranks", "llama")


def sentencepiece_model(**settings):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.decode() for text in OLD),
        model_writer=out,
        minloglevel=2,
        **{"byte_fallback": True, "remove_extra_whitespaces": False, "normalization_rule_name": "identity", **settings},
    )
    return SentencePieceTokenizer(out.getvalue())


@pytest.fixture(scope="module")
def by_kind(made):
    def make(kind):
        if kind == "ranks":
            spelled = json.loads(made["byte_level"])["model"]["vocab"]
            ranks = {from_byte_level(token): rank for token, rank in spelled.items()}
            return TiktokenTokenizer(ranks, pattern=CL100K, specials={"<s>": 400, "</s>": 401})
        if kind == "sentencepiece":
            return SentencePieceTokenizer.train(OLD, kind="bpe", size=320)
        if kind == "llama":  # a space before texts, digits apart
            return sentencepiece_model(model_type="bpe", vocab_size=320, split_digits=True)
        if kind == "unigram_bytes":
            return SentencePieceTokenizer.train(OLD, kind="unigram", size=290)
        return HuggingFaceTokenizer(made[kind], roles={"eos": "</s>"} if kind == "unigram" else {})

    kept = {}
    return lambda kind: kept.setdefault(kind, make(kind))


def spelled(tokenizer, ids):
    return [tokenizer.vocabulary.token_bytes[i] for i in ids]


def check(old, changed):
    """What has to hold of every change."""
    new, before, after = changed.tokenizer, old.vocabulary, changed.tokenizer.vocabulary
    for i in range(before.size):
        if i not in changed.pruned and i not in changed.added:
            assert after.token_bytes[i] == before.token_bytes[i] and (i in after.specials) == (i in before.specials)
    again, gone = tokenizer_from_bytes(new.to_bytes()), set(changed.pruned) - set(changed.added)
    assert again.vocabulary == after

    @settings(max_examples=10)
    @given(text=texts)
    def same(text):
        data = text.encode()
        encoding = new.encode(data)
        assert after.decode(encoding.ids) == before.decode(old.encode(data).ids)
        assert encoding.nbytes.sum() == len(data) and gone.isdisjoint(encoding.ids.tolist())
        assert again.encode(data).ids.tolist() == encoding.ids.tolist()

    same()
    for text in (*NEW[:1], b"\xff Schnee\xe4\xb8", b""):
        assert after.decode(new.encode(text).ids) == before.decode(old.encode(text).ids)


@pytest.mark.parametrize("kind", BPE)
def test_bpe_goes_on_in_its_own_format(by_kind, kind):
    """Shorter on the new text, and exact on any; nothing reaches across words."""
    old = by_kind(kind)
    changed = change_by_text(old, NEW, count=30)
    check(old, changed)
    assert type(changed.tokenizer) is type(old) and 5 < len(changed.added) <= 30 and not changed.pruned
    assert list(changed.added) == list(range(old.vocabulary.size, old.vocabulary.size + len(changed.added)))
    assert len(changed.tokenizer.encode(NEW[0]).ids) < 0.7 * len(old.encode(NEW[0]).ids)
    used = Counter(changed.tokenizer.encode(NEW[0] * 6).ids.tolist())
    assert sum(used[i] > 0 for i in changed.added) >= 3
    new = spelled(changed.tokenizer, changed.added)
    if kind in ("byte_level", "ranks"):
        bpe = _bpe_format(old)
        words = Counter(word for text in NEW for word in bpe.words(text).elements())
        assert all(any(token in bpe.bytes_of(word) for word in words) for token in new)  # none crosses words
    if kind in ("llama", "byte_fallback_bare"):
        assert not any(token[:1] != b" " and b" " in token for token in new)
        assert kind != "llama" or not any(len(token) > 1 for token in new if set(token) & set(b"0123456789"))


@pytest.mark.parametrize("kind", BPE)
def test_words_are_cut_as_the_training_left_them(by_kind, kind):
    """What was counted is what the tokenizer that is written makes of the text, by the library that reads it."""
    old = by_kind(kind)
    bpe, words = _bpe_format(old), Counter()
    for text in NEW[:3]:
        words.update(bpe.words(text))
    cut = {tuple(bpe.segment(word)): count for word, count in words.items()}
    ids = range(old.vocabulary.size, old.vocabulary.size + 25)
    tokens = continue_merges(cut, bpe.rules, bpe.spellings, ids=ids, bytes_of=bpe.bytes_of, allowed=bpe.allowed)
    written = _bpe_format(bpe.written(tokens, ()))
    for word in words:
        symbols = bpe.segment(word)  # by the old library
        for token in tokens:
            parts = token.parts or tuple(i for i in symbols if i < 0 and bpe.spellings[i] == token.spelling)[:1]
            if set(parts) & set(symbols):
                symbols = settle(replaced(symbols, parts, token.id), bpe.rules)
        assert [max(i, -1) for i in symbols] == [max(i, -1) for i in written.segment(word)]


@pytest.mark.parametrize("kind", PRUNING)
@pytest.mark.parametrize("pruned_ids", ["reused", "unused"])
def test_pruned_tokens_are_replaced_and_no_text_is_lost(by_kind, kind, pruned_ids):
    """As many ids as before, or holes where tokens were."""
    old = by_kind(kind)
    how = {"count": 12, "prune": 12, "pruned_ids": pruned_ids}
    if (kind, pruned_ids) == ("ranks", "reused"):
        with pytest.raises(AddingError, match="leave them unused, or write the tokenizer as a tokenizer.json"):
            change_by_text(old, NEW, **how)
        return
    changed = change_by_text(old, NEW, **how)
    check(old, changed)
    assert len(changed.pruned) == 12 and all(
        len(token.decode(errors="replace")) > 1 for token in changed.pruned.values()
    )
    new = spelled(changed.tokenizer, changed.added)
    assert not set(new) & set(changed.pruned.values())
    if pruned_ids == "reused":
        assert set(changed.added) <= set(changed.pruned) and changed.tokenizer.vocabulary.size == old.vocabulary.size
    else:
        assert set(changed.pruned) <= changed.tokenizer.vocabulary.specials
        assert changed.tokenizer.vocabulary.size == old.vocabulary.size + 12
    only = change_by_text(old, NEW, count=0, prune=3, pruned_ids=pruned_ids)
    assert only.pruned == dict(list(changed.pruned.items())[:3]) and not only.added
    check(old, only)


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback_bare", "ranks", "sentencepiece", "llama"])
def test_the_libraries_read_the_same(by_kind, kind):
    """The `tokenizers` and `sentencepiece` of others give the ids that are given here."""
    changed = change_by_text(by_kind(kind), NEW, count=20, prune=5, pruned_ids="unused").tokenizer
    library = tokenizers.Tokenizer.from_str(tokenizer_json(changed, bos="none").decode())
    own = None
    if isinstance(changed, SentencePieceTokenizer):
        own = sentencepiece.SentencePieceProcessor(model_proto=changed.to_bytes())
    for text in (*NEW[:1], *OLD[:2], "Schneeflocken 2024 雪崩\n\n  ž".encode()):
        ids = changed.encode(text).ids.tolist()
        assert library.encode(text.decode(), add_special_tokens=False).ids == ids
        assert own is None or own.encode(text.decode()) == ids


LISTED = [b"Schneeflocken", " Žlutý".encode(), "雪崩".encode(), b" fallen"]


@pytest.mark.parametrize("kind", [*BPE, "unigram_bytes", "unigram"])
def test_listed_tokens_are_reached_and_other_text_is_left_alone(by_kind, kind):
    """Each is one token where it is a word, and a text that has none of them is cut as before."""
    old = by_kind(kind)
    listed = [b"Schneesplit", b"Schneetext"] if kind == "unigram" else LISTED  # which knows few characters
    changed = change_by_list(old, listed)
    check(old, changed)
    new = spelled(changed.tokenizer, changed.added)
    assert set(listed) <= set(new)
    for token in listed:
        ids = changed.tokenizer.encode(b"x " + token.lstrip() if token[:1] == b" " else b"\n" + token).ids
        assert token in spelled(changed.tokenizer, ids) or kind == "unigram"

    @settings(max_examples=10)
    @given(text=OTHERS)
    def as_before(text):
        if not any(token in b" " + text.encode() for token in new):  # some put a space before it
            assert changed.tokenizer.encode(text.encode()).ids.tolist() == old.encode(text.encode()).ids.tolist()

    as_before()


def test_what_is_on_the_way_to_a_listed_token_is_added_too(by_kind):
    """Three parts need a merge of two before; a repeated pair merges everywhere, and the rest goes on from there."""
    for kind in ("byte_level", "ranks"):
        changed = change_by_list(by_kind(kind), [b"xyxyz", b"xyx"])
        assert spelled(changed.tokenizer, changed.added) == [b"xy", b"xyx", b"xyxy", b"xyxyz"]
        assert len(changed.tokenizer.encode(b"xyx").ids) == len(changed.tokenizer.encode(b"xyxyz").ids) == 1


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback_bare", "sentencepiece", "unigram_bytes", "word_piece"])
def test_tokens_can_be_matched_before_all_else(by_kind, kind):
    """Across words and within them, in formats that have such tokens."""
    old = by_kind(kind)
    tokens = [b"new york"] if kind == "word_piece" else [b"New York", b"nowf"]
    changed = change_by_list(old, tokens, way="matched")
    text = b"in new york" if kind == "word_piece" else b"in New York: snowfalls"
    assert set(tokens) <= set(spelled(changed.tokenizer, changed.tokenizer.encode(text).ids))
    assert len(changed.added) == len(tokens)
    if kind != "word_piece":
        check(old, changed)


def test_padding_stays_and_rows_that_were_padding_are_used(by_kind):
    """A model has rows for them already."""
    old = PaddedTokenizer(by_kind("byte_level"), by_kind("byte_level").vocabulary.size + 5)
    few, many = change_by_list(old, [b"xy"]), change_by_text(old, NEW, count=9)
    assert few.tokenizer.vocabulary.size == old.vocabulary.size and few.added == (old.vocabulary.size - 5,)
    assert many.tokenizer.vocabulary.size == old.vocabulary.size + 4
    check(old, many)


def test_a_drawn_unigram_tokenizer_takes_pieces():
    """It is written as a tokenizer.json first."""
    letters = [bytes([b]) for b in range(256)]
    drawn = UnigramTokenizer([*letters, b"ab"], np.full(257, -5.0))
    changed = change_by_list(drawn, [b"abab"])
    assert spelled(changed.tokenizer, changed.tokenizer.encode(b"abab ab").ids) == [b"abab", b" ", b"ab"]


@pytest.mark.parametrize(
    ("kind", "tokens", "message"),
    [
        ("byte_level", [], "the list of tokens is empty"),
        ("byte_level", [b""], "one of the tokens is empty"),
        ("byte_level", [b"xy", b"xy"], "'xy' is in the list twice"),
        ("byte_level", [b" text"], "' text' is a token already, id "),
        ("byte_level", [b"<|endoftext|>"], r"is spelled like the special \d+"),
        ("byte_level", [b"\xe4\xb8"], r"b'\\xe4\\xb8' is not UTF-8"),
        ("byte_level", [b"New York"], r"is cut into the words \['New', 'ĠYork'\]: no merges lead across"),
        ("ranks", [b"New York"], "no merges lead across"),
        ("sentencepiece", ["\u2581x".encode()], "reads '\u2581x' as ' x': no text would ever have this token"),
        ("unigram", ["ﬁx".encode()], "reads 'ﬁx' as 'fix'"),
        ("unigram", ["雪崩雪".encode()], "has characters that are unknown"),
        ("word_piece", [b"schneesplit"], "a tokenizer of the kind WordPiece has no merges to go on with"),
        ("word_piece", [b"Schnee"], "reads 'Schnee' as 'schnee'"),
    ],
)
def test_lists_that_cannot_be_added(by_kind, kind, tokens, message):
    """Each is named."""
    with pytest.raises(AddingError, match=message):
        change_by_list(by_kind(kind), tokens)


def test_texts_and_settings_that_nothing_comes_of(by_kind):
    """Each is named."""
    old = by_kind("byte_level")
    how: dict[str, Any]
    for how, message in (
        ({"count": 0}, "there is nothing to do"),
        ({"count": 1, "pruned_ids": "kept"}, "pruned_ids is 'kept'; there are reused, unused"),
        ({"count": 1, "least": 10**6}, r"has no pair of tokens 1000000 times"),
        ({"count": 1, "prune": 1, "most_uses": -1}, "no token can be pruned"),
    ):
        with pytest.raises(AddingError, match=message):
            change_by_text(old, NEW, **how)
    with pytest.raises(AddingError, match=r"the text \(0 words\)"):
        change_by_text(old, [b"", b"\xff\xfe"], count=1)
    with pytest.raises(AddingError, match="the kind UNIGRAM has no merges"):
        change_by_text(by_kind("unigram_bytes"), NEW, count=1)
    with pytest.raises(AddingError, match="way is 'merged'; there are vocabulary, matched"):
        change_by_list(old, [b"xy"], way="merged")
    with pytest.raises(AddingError, match="a TiktokenTokenizer has no tokens that are matched"):
        change_by_list(by_kind("ranks"), [b"New York"], way="matched")
    dropout = json.loads(by_kind("byte_level").tokenizer_json)
    dropout["model"]["dropout"] = 0.1
    with pytest.raises(AddingError, match="dropout = 0.1 is not continued"):
        change_by_text(HuggingFaceTokenizer(json.dumps(dropout).encode()), NEW, count=1)
