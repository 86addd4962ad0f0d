"""From a parallel text to translations of tokens: numbers of the textbook, and by hand."""

import json
import lzma

import numpy as np
import pytest
from greedy import WORDS, Greedy

from lexitok.data.readers import SourceError
from lexitok.text.words import words_of
from lexitok.transfer.errors import TransferError
from lexitok.transfer.translation import read_bitext, token_translations
from lexitok.transfer.translation.alignment import align_words

# das Haus, das Buch, ein Buch: the house, the book, a book (Koehn, "Statistical Machine Translation", 2010, ch. 4)
DAS, HAUS, BUCH, EIN = range(4)
THE, HOUSE, BOOK, A = range(4)
GERMAN = [np.array(line) for line in ([DAS, HAUS], [DAS, BUCH], [EIN, BUCH])]
ENGLISH = [np.array(line) for line in ([THE, HOUSE], [THE, BOOK], [A, BOOK])]
PLAIN = {"diagonal": 0.0, "null": 0.0, "prior": 0.0}


def probabilities(links):
    return {(e, f): p for e, f, p in zip(links.of_target, links.of_source, links.probability, strict=True)}


def test_model_1_has_the_numbers_of_the_textbook():
    """Its table after one round has the|das 1/2, house|das 1/4, the|Haus 1/2; after two 7/11, 2/11, 3/7."""
    second = probabilities(align_words(GERMAN, ENGLISH, iterations=2, **PLAIN))
    assert second[0, 0] == pytest.approx(1 / 2) and second[1, 1] == pytest.approx(2 / 3)
    third = probabilities(align_words(GERMAN, ENGLISH, iterations=3, **PLAIN))
    assert third[0, 0] == pytest.approx(7 / 11 / (7 / 11 + 3 / 7))
    late = probabilities(align_words(GERMAN, ENGLISH, iterations=60, **PLAIN))
    assert min(late[0, 0], late[1, 1], late[5, 5]) > 0.97


def test_priors_are_those_of_their_paper():
    """The diagonal by exp(-4 |i/m - j/n|), a share for words that translate nothing, and what is left adds up to 1."""
    first = probabilities(align_words(GERMAN, ENGLISH, iterations=1, null=0.08))
    near, far = 1.0, np.exp(-4 * 0.5)
    assert first[0, 0] == pytest.approx(0.92 * near / (near + far))
    assert first[0, 1] == pytest.approx(0.92 * far / (near + far))
    rare = align_words([np.array([0, 1])] * 2, [np.array([0, 1])] * 2, diagonal=0.0, null=0.5)
    assert 0 < rare.probability.max() < 0.5
    plain, smooth = (align_words(GERMAN, ENGLISH, **{**PLAIN, "prior": prior}) for prior in (0.0, 1.0))
    assert not np.allclose(plain.probability, smooth.probability)


def test_sentences_may_be_empty_and_sides_of_other_lengths_are_refused():
    """An empty side has no links; numbers of words go on behind it."""
    nothing = np.zeros(0, np.int64)
    links = align_words([GERMAN[0], nothing, GERMAN[1]], [ENGLISH[0], ENGLISH[0], ENGLISH[1]])
    assert set(links.of_target.tolist()) == {0, 1, 4, 5} and set(links.of_source.tolist()) == {0, 1, 2, 3}
    assert len(align_words([nothing], [nothing]).probability) == 0
    with pytest.raises(TransferError, match="has 3 and 2 sentences"):
        align_words(GERMAN, ENGLISH[:2])
    with pytest.raises(TransferError, match="cannot be aligned with iterations=0"):
        align_words(GERMAN, ENGLISH, iterations=0)


SOURCE = Greedy((*WORDS, b" house", b"house", b" book"))
TARGET = Greedy((*WORDS, b" Haus", b" das", b"das", b" Bu", b"ch"))
PAIRS = [("the house", "das Haus"), ("the book", "das Buch"), ("a book", "ein Buch")] * 4


def test_tokens_share_what_their_words_are_translated_by():
    """` Haus` is one token and so is ` house`; ` Bu` and `ch` share ` book` alike, as they share it by places."""
    found = token_translations(PAIRS, SOURCE, TARGET, least=0.5, **PLAIN, iterations=60).toarray()

    def of(token):
        row = found[TARGET.vocabulary.token_bytes.index(token)]
        return {SOURCE.vocabulary.token_bytes[i]: row[i] for i in np.flatnonzero(row)}

    assert of(b" Haus") == pytest.approx({b" house": 4.0}, rel=0.05)
    assert of(b"das") == pytest.approx({b"the": 8.0}, rel=0.05)
    assert of(b" Bu") == pytest.approx({b" book": 4.0}, rel=0.05) == of(b"ch")
    assert not token_translations(PAIRS, SOURCE, TARGET, least=1e9).nnz


def test_places_of_tokens_in_their_words():
    """Two tokens on three: the first has the first and half of the second; and half of all goes to all alike."""
    source, target = Greedy((*WORDS, b"ab", b"cd", b"ef")), Greedy((*WORDS, b"xyz", b"uvw"))
    found = token_translations([("abcdef", "xyzuvw")], source, target, least=0.0, **PLAIN).toarray()
    row = found[target.vocabulary.token_bytes.index(b"xyz")]
    ids = [source.vocabulary.token_bytes.index(token) for token in (b"ab", b"cd", b"ef")]
    np.testing.assert_allclose(row[ids], np.array([1 / 3, 1 / 6, 0]) / 2 + 1 / 12)
    assert found.sum() == pytest.approx(1.0)


def test_words_have_their_space_and_case_goes_together():
    """A word is cut as it stands in the text; marks are of their letter, and ideographs are words."""
    assert [*words_of("The cat, größe\u0301 1st. 世界 ไป्\n\tx")] == [
        *("The", " cat", ",", " größe\u0301", " 1st", ".", " 世", "界", " ไป्", "x")
    ]
    pairs = [("The house", "Das Haus"), ("the house", "das Haus")] * 3
    found = token_translations(pairs, SOURCE, TARGET, **PLAIN).toarray()
    assert found[TARGET.vocabulary.token_bytes.index(b"das"), SOURCE.vocabulary.token_bytes.index(b"the")] > 0
    with pytest.raises(TransferError, match="no pair of lines of 1 to 2 words"):
        token_translations([("a b c", "d"), (" ", "d")], SOURCE, TARGET, longest=2)


def test_files_are_read_line_by_line_and_document_by_document(tmp_path):
    """Blank lines go with blank lines, documents with those of the same id, wherever they stand."""
    for name, text in (("a.txt", "one\n\ntwo\n"), ("b.txt", "eins\n\nzwei")):
        (tmp_path / name).write_text(text)
    assert read_bitext(tmp_path / "a.txt", tmp_path / "b.txt") == [("one", "eins"), ("two", "zwei")]

    def write(name, *documents):
        lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in documents)
        (tmp_path / name).write_bytes(lzma.compress(lines.encode()))
        return tmp_path / name

    ours = write("en.jsonl.xz", ("p", "one\u2028\ntwo"), ("q", "only here"))
    assert read_bitext(ours, write("de.jsonl.xz", ("r", "x"), ("p", "eins\nzwei"))) == [
        ("one\u2028", "eins"),
        ("two", "zwei"),
    ]
    with pytest.raises(TransferError, match="document 'p' has 2 lines in .* and 1 in"):
        read_bitext(ours, write("short.jsonl.xz", ("p", "eins")))
    with pytest.raises(TransferError, match="have no line in common: is the parallel text empty"):
        read_bitext(ours, write("other.jsonl.xz", ("r", "x")))
    with pytest.raises(TransferError, match="twice.jsonl.xz:2: the id 'p' comes a second time"):
        read_bitext(ours, write("twice.jsonl.xz", ("p", "a\nb"), ("p", "c\nd")))
    (tmp_path / "cut.jsonl.xz").write_bytes(ours.read_bytes()[:40])
    with pytest.raises(SourceError, match="damaged or cut off"):
        read_bitext(ours, tmp_path / "cut.jsonl.xz")
    (tmp_path / "bad.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(SourceError, match="bad.jsonl:1: no JSON object with 'id' and 'text'"):
        read_bitext(ours, tmp_path / "bad.jsonl")
    (tmp_path / "c.txt").write_text("drei\n")
    with pytest.raises(TransferError, match="the text has 3 lines in .* and 1 in"):
        read_bitext(tmp_path / "a.txt", tmp_path / "c.txt")
    (tmp_path / "c.txt").write_bytes(b"\xff")
    with pytest.raises(SourceError, match="not UTF-8"):
        read_bitext(tmp_path / "a.txt", tmp_path / "c.txt")
