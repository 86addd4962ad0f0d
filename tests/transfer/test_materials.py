"""What methods are given, from the files and texts that one names."""

import numpy as np
import pytest
from greedy import SOURCE, WORDS, Greedy

from lexitok.transfer.errors import TransferError
from lexitok.transfer.materials import Materials
from lexitok.transfer.methods import make_method, takes
from lexitok.transfer.rows import init_embeddings

TARGET = Greedy((*WORDS, b" Hund", b" das", b"inner"))
SMALL = {"A": 8, "least": 2, "buckets": 100}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    root = tmp_path_factory.mktemp("texts")
    for language, line in (("en", "the dog and the cat\n"), ("de", "das Hund und das cat\n")):
        (root / language).mkdir()
        for i in range(30):  # of which the split `train` has most
            (root / language / f"{i}.txt").write_text(line * 6)
        (root / f"{language}.txt").write_text(line * 6)
    (root / "en-de.txt").write_text("the das\ncat cat\nand und\ndog Hund\n")
    return root


def given(texts, said, tokenizers=(SOURCE, TARGET), **named):
    materials = Materials(**named, cache=str(texts / "cache"), training=SMALL)
    return materials.given(*tokenizers)(takes(said), "in")


def weights(texts, said, token, **named):
    method = make_method(said, **given(texts, said, **named))
    table = np.random.default_rng(0).normal(size=(SOURCE.vocabulary.size, 4)).astype(np.float32)
    made = init_embeddings(SOURCE, TARGET, table, None, method_in=method).entering
    np.testing.assert_allclose(made.provenance.weights_VxU @ table, made.rows_VxD, atol=1e-5)
    of = dict(made.provenance.of(TARGET.vocabulary.token_bytes.index(token)))
    return {SOURCE.vocabulary.token_bytes[i]: weight for i, weight in of.items()}


def source(texts, language):
    return f"text:{texts}/{language}/*.txt"


def test_methods_are_given_what_they_take_and_no_more(texts):
    """Nothing is counted, read or trained that no method asks for."""
    assert given(texts, "mean", text="no such source", vectors="no such file", parallel=("no", "files")) == {}
    found = given(texts, "by_frequency", text=source(texts, "en"))
    assert set(found) == {"counts_U"} and found["counts_U"][SOURCE.vocabulary.token_bytes.index(b"the")] > 20
    assert set(given(texts, "neighbours")) == {"vectors_VxA"}
    with pytest.raises(TransferError, match="'by_frequency' needs counts_U"):
        make_method("by_frequency", **given(texts, "by_frequency"))


def test_vectors_are_trained_for_whom_they_are_asked(texts):
    """Of the target's tokens, and for methods that want them in the same space those of the source's."""
    both = given(texts, "hybrid", vectors="train", text=source(texts, "de"))
    assert both["source_vectors_UxA"].shape == (SOURCE.vocabulary.size, 8)
    assert both["vectors_VxA"].shape == (TARGET.vocabulary.size, 8)
    assert weights(texts, "hybrid", b" Hund", vectors="train", text=source(texts, "de"))
    with pytest.raises(TransferError, match="vectors are to be trained, and no text is named"):
        given(texts, "hybrid", vectors="train")


def test_words_of_two_languages_meet_by_a_dictionary(texts):
    """WECHSEL, from text alone: what one language has in the places of another has its rows."""
    named = {"vectors": "train", "text": source(texts, "de"), "source_text": source(texts, "en")}
    said = "source_neighbours"
    found = weights(texts, said, b" das", dictionary=texts / "en-de.txt", **named)
    assert len(found) == 10 and sum(found.values()) == pytest.approx(1.0, abs=1e-5) and b" the" in found


def test_vectors_of_files_are_of_tokens_by_their_spelling(texts):
    """One file for both vocabularies, or one for each."""
    (texts / "a.vec").write_text("ĠHund 1 0\nĠcat 1 0\nthe 0 1\n")
    assert weights(texts, "neighbours", b" Hund", vectors=texts / "a.vec") == pytest.approx({b" cat": 1.0})
    (texts / "b.vec").write_text("Ġcat 0 1\n12 1 0\n")
    two = {"vectors": texts / "a.vec", "source_vectors": texts / "b.vec"}
    assert weights(texts, "source_neighbours(most=1)", b" Hund", **two) == {b"12": 1.0}


def test_a_parallel_text_translates(texts):
    """` das` stands where `the` does, six times in each of the two places of a line."""
    found = weights(texts, "translated", b" das", parallel=(texts / "en.txt", texts / "de.txt"))
    assert max(found, key=found.get) == b" the"
    with pytest.raises(TransferError, match="a parallel text is two files"):
        Materials(parallel=("one",))
