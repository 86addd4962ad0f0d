"""Auxiliary vectors: trained on text, read, brought from words to tokens and from one language to another."""

import gzip

import numpy as np
import pytest
from greedy import SOURCE, WORDS, Greedy, rows
from scipy.stats import ortho_group

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method
from lexitok.transfer.rows import init_embeddings
from lexitok.transfer.vectors import (
    WordVectors,
    read_dictionary,
    read_word_vectors,
    rotated,
    spelled_vectors,
    train_token_vectors,
    train_word_vectors,
    vectors_by_words,
)

TARGET = Greedy((*WORDS, b" dog", b"inner"))
TEXT = [b"the cat sat in the den\nthe dog sat in the den", b"\xff\xfe the cat and the dog"] * 40
SMALL = {"A": 8, "least": 2, "buckets": 100}


def id_of(tokenizer, token):
    return tokenizer.vocabulary.token_bytes.index(token)


def test_tokens_of_both_vocabularies_get_vectors_of_one_space():
    """Tokens that both have are one word there; those that never come up have zeros; and it is the same twice."""
    ours, theirs = train_token_vectors(TEXT, [SOURCE, TARGET], **SMALL)
    assert ours.shape == (SOURCE.vocabulary.size, 8) and theirs.shape == (TARGET.vocabulary.size, 8)
    np.testing.assert_array_equal(ours[3:], theirs[3 : len(ours)])
    known = theirs.any(axis=1)
    assert known[id_of(TARGET, b" dog")] and known[id_of(TARGET, b" cat")] and known[id_of(TARGET, b"\xff")]
    assert not known[id_of(TARGET, b"inner")] and not known[:3].any()
    again = train_token_vectors(TEXT, [SOURCE, TARGET], **SMALL)
    np.testing.assert_array_equal(again[1], theirs)
    other = train_token_vectors(TEXT, [SOURCE, TARGET], **SMALL, seed=1)
    assert not np.array_equal(other[1], theirs)


def test_rows_follow_from_text_alone():
    """FOCUS from beginning to end: a token that comes up where others do has a row of theirs."""
    (vectors,) = train_token_vectors(TEXT, [TARGET], **SMALL)
    made = init_embeddings(
        SOURCE, TARGET, rows(SOURCE), None, method_in=make_method("neighbours", vectors_VxA=vectors)
    ).entering
    found = dict(made.provenance.of(id_of(TARGET, b" dog")))
    assert sum(found.values()) == pytest.approx(1.0) and id_of(SOURCE, b" cat") in found


def test_text_that_teaches_nothing_is_refused():
    for text in ([], [b""], [b"the"]):
        with pytest.raises(TransferError, match="no word comes up 2 times"):
            train_token_vectors(text, [TARGET], **SMALL)
    with pytest.raises(TransferError, match="cannot be trained with A=0"):
        train_word_vectors(TEXT, A=0)


def test_a_token_is_the_mean_of_its_words():
    """`the` in `the` alone, ` cat` in ` cat`, letters in words that are spelled with them; by counts."""
    words = WordVectors(("the", "cat", "bat"), np.eye(3, dtype=np.float32), np.array([4.0, 2.0, 6.0]))
    found = vectors_by_words(words, SOURCE)
    np.testing.assert_allclose(found[id_of(SOURCE, b" the")], [1, 0, 0])
    np.testing.assert_allclose(found[id_of(SOURCE, b" cat")], [0, 1, 0])
    np.testing.assert_allclose(found[id_of(SOURCE, b"at")], [0, 2 / 14, 12 / 14])  # c-at; b-at twice
    np.testing.assert_allclose(found[id_of(SOURCE, b"123")], [0, 0, 0])


def test_languages_are_turned_into_one_space():
    """What was turned away is turned back, whatever words the dictionary has beside those that have vectors."""
    source = WordVectors(tuple("abcdef"), rows(SOURCE, D=4)[:6], np.ones(6))
    turn = ortho_group.rvs(4, random_state=0)
    target = WordVectors(tuple("ABCDEF"), (source.rows_WxA @ turn * 2).astype(np.float32), np.ones(6))
    pairs = [*zip("abcde", "abcde", strict=True), ("nowhere", "nirgends")]  # found with a capital
    found = rotated(source, target, [(a, b.upper()) for a, b in pairs])
    np.testing.assert_allclose(found.rows_WxA, source.rows_WxA * 2, atol=1e-5)
    with pytest.raises(TransferError, match="none of the dictionary's 2 pairs"):
        rotated(source, target, pairs[-1:])
    with pytest.raises(TransferError, match="4 wide for the source and 3 for the target"):
        rotated(source, WordVectors(("A",), np.ones((1, 3), np.float32), np.ones(1)), pairs)


def test_a_dictionary_is_a_pair_a_line(tmp_path):
    path = tmp_path / "en-de.txt"
    path.write_text("the house\tdas Haus\nbook Buch\n")
    assert read_dictionary(path) == [("the house", "das Haus"), ("book", "Buch")]
    path.write_text("book Buch\nbook\n")
    with pytest.raises(TransferError, match="en-de.txt:2: not a pair of words: b'book"):
        read_dictionary(path)
    path.write_text("")
    with pytest.raises(TransferError, match="the dictionary is empty"):
        read_dictionary(path)


def test_vectors_are_read_with_their_words(tmp_path):
    """With a first line and without, compressed, as an array; spelled as ByteLevel or as SentencePiece."""
    lines = "Ġcat 1.0 2.0\nthe 0.5 0.25\nthe 9 9\nÃ¶ 3 4\n"
    (tmp_path / "a.vec").write_text(lines)
    (tmp_path / "b.vec.gz").write_bytes(gzip.compress(("4 2\n" + lines).encode()))
    np.save(tmp_path / "c.npy", np.array([[1, 2], [0.5, 0.25], [9, 9], [3, 4]]))
    (tmp_path / "c.txt").write_text("▁cat\nthe\nthe\nö\n")
    for name in ("a.vec", "b.vec.gz", "c.npy"):
        words = read_word_vectors(tmp_path / name)
        assert len(words.words) == 3 and words.counts_W.tolist() == [1, 1 / 2, 1 / 3]
        found = spelled_vectors(words, SOURCE.vocabulary)
        assert found[id_of(SOURCE, b" cat")].tolist() == [1, 2] and found[id_of(SOURCE, b"the")].tolist() == [0.5, 0.25]
        assert found[id_of(SOURCE, "ö".encode())].tolist() == [3, 4] and found.any(axis=1).sum() == 3
    with pytest.raises(TransferError, match="no token of the vocabulary is among the 1 words with vectors: 'xyz'"):
        spelled_vectors(WordVectors(("xyz",), np.ones((1, 2), np.float32), np.ones(1)), SOURCE.vocabulary)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", "x.vec:2: not a word and 2 numbers"),
        ("a 1 2\nb 1 two\n", "x.vec:2: not a word and 2 numbers"),
        ("a\n", "x.vec:1: not a word and some numbers"),
        ("a 1 nan\n", "the vector of 'a' is not finite"),
        ("", "there are no vectors in it"),
        ("2 2\n", "there are no vectors in it"),
    ],
)
def test_files_without_vectors_are_refused(tmp_path, content, message):
    (tmp_path / "x.vec").write_text(content)
    with pytest.raises(TransferError, match=message):
        read_word_vectors(tmp_path / "x.vec")


def test_an_array_has_a_word_a_row(tmp_path):
    np.save(tmp_path / "c.npy", np.ones((3, 2)))
    with pytest.raises(FileNotFoundError, match=r"c\.txt"):
        read_word_vectors(tmp_path / "c.npy")
    (tmp_path / "c.txt").write_text("a\nb\n")
    with pytest.raises(TransferError, match=r"an array float64\[3, 2\] for the 2 words beside it"):
        read_word_vectors(tmp_path / "c.npy")
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(TransferError, match="not an array"):
        read_word_vectors(tmp_path / "c.npy")
