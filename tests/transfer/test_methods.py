"""Rows of new tokens by methods that are given more than the table: counts, vectors of both vocabularies, translations.

All weights are worked out by hand, or by a loop that does as the paper says.
"""

import numpy as np
import pytest
import scipy.sparse
from greedy import SOURCE, WORDS, Greedy, rows

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import Made, make_method
from lexitok.transfer.provenance import UNMATCHED
from lexitok.transfer.rows import init_embeddings

TARGET = Greedy((*WORDS, b"inner", b"the cat"))  # the last one spans two words
INNER, PHRASE = TARGET.vocabulary.size - 2, TARGET.vocabulary.size - 1
U, V = SOURCE.vocabulary.size, TARGET.vocabulary.size
ID = {token: i for i, token in enumerate(SOURCE.vocabulary.token_bytes)}
TABLE = rows(SOURCE)


def made(said, **given):
    return init_embeddings(SOURCE, TARGET, TABLE, None, method_in=make_method(said, **given)).entering


def weights_of(found, token):
    return {SOURCE.vocabulary.token_bytes[i]: weight for i, weight in found.provenance.of(token)}


def counts(**words):
    out = np.zeros(U, np.int64)
    for word, count in words.items():
        out[ID[word.encode()]] = count
    return out


def test_parts_weigh_by_how_often_they_come_up():
    """`in` four times, `n` never, `er` once: 5, 1 and 2 of 8, since each is counted once more."""
    found = made("by_frequency", counts_U=counts(**{"in": 4, "er": 1}))
    assert weights_of(found, INNER) == pytest.approx({b"in": 5 / 8, b"er": 2 / 8, b"n": 1 / 8})
    np.testing.assert_allclose(found.provenance.weights_VxU @ TABLE, found.rows_VxD, atol=1e-6)


def test_rare_parts_weigh_most_by_rarity():
    """a / (a + p), brought to a sum of 1; a token of two words is made of its words."""
    given = counts(**{"the": 99, " cat": 9})
    total = 108 + U - 3
    found = made("by_rarity(a=0.1)", counts_U=given)
    the, cat = 0.1 / (0.1 + 100 / total), 0.1 / (0.1 + 10 / total)
    assert weights_of(found, PHRASE) == pytest.approx({b"the": the / (the + cat), b" cat": cat / (the + cat)})


@pytest.mark.parametrize(
    ("said", "given", "message"),
    [
        ("by_frequency", np.ones(3, np.int64), "by_frequency: 3 counts for the source's 268 ids"),
        ("by_frequency", np.zeros(U, np.int64), "no token of the source was counted: is the text empty"),
        ("by_rarity", -np.ones(U, np.int64), "by_rarity: id 0 is counted -1 times"),
    ],
)
def test_counts_that_do_not_fit_are_refused(said, given, message):
    with pytest.raises(TransferError, match=message):
        made(said, counts_U=given)
    with pytest.raises(TransferError, match="a is 0.0; it is above 0"):
        make_method("by_rarity(a=0)", counts_U=given)


def space(*axes, of):
    """Vectors in which tokens lie on axes of their own: token → axis and length; all others have none."""
    out = np.zeros((of, 4), np.float32)
    for token, vector in axes:
        out[token] = vector
    return out


VECTORS = space((INNER, [3, 0, 0, 0]), of=V)
SOURCES = space((ID[b"er"], [1, 0, 0, 0]), (ID[b"n"], [0, 2, 0, 0]), (ID[b"123"], [1, 1, 0, 0]), of=U)


def test_neighbours_may_be_tokens_that_only_the_source_has():
    """WECHSEL: the softmax of cosines 1 and sqrt(1/2) at temperature 0.1; one without a vector is the mean of parts."""
    said = "source_neighbours(most=2)"
    found = made(said, vectors_VxA=VECTORS, source_vectors_UxA=SOURCES)
    near = 1 / (1 + np.exp((np.sqrt(0.5) - 1) / 0.1))
    assert weights_of(found, INNER) == pytest.approx({b"er": near, b"123": 1 - near}, abs=1e-6)
    assert weights_of(found, PHRASE) == pytest.approx({b"the": 0.5, b" cat": 0.5})


def test_of_equal_neighbours_the_first_are_taken():
    """Whatever the processor: ties are decided by number."""
    sources = np.tile(np.float32([1, 0, 0, 0]), (U, 1))
    said = "source_neighbours(most=3)"
    found = made(said, vectors_VxA=VECTORS, source_vectors_UxA=sources)
    assert sorted(i for i, _ in found.provenance.of(INNER)) == [3, 4, 5]


def test_parts_and_neighbours_go_together():
    """TokenAdapt, step by step: shares of cosine and of bytes, softmax at 0.3, three tenths of the neighbours'."""
    found = made("hybrid(most=1)", vectors_VxA=VECTORS, source_vectors_UxA=SOURCES)
    cosines = np.array([0, 0, 1.0])  # in, n, er
    scores = (np.exp(cosines) / np.exp(cosines).sum() + np.array([2, 1, 2]) / 5) / 2
    local = np.exp(scores / 0.3) / np.exp(scores / 0.3).sum()
    expected = {b"in": 0.7 * local[0], b"n": 0.7 * local[1], b"er": 0.7 * local[2] + 0.3}
    assert weights_of(found, INNER) == pytest.approx(expected, abs=1e-6)
    # No vector: parts alone, " cat" and "the" by their bytes, 4 and 3 of 7 beside equal halves.
    share = np.exp((np.array([4, 3]) / 7 + 0.5) / 2 / 0.3)
    expected = {b" cat": share[0] / share.sum(), b"the": share[1] / share.sum()}
    assert weights_of(found, PHRASE) == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(found.provenance.weights_VxU @ TABLE, found.rows_VxD, atol=1e-6)
    alone = made("hybrid(w_glob=1, most=1)", vectors_VxA=VECTORS, source_vectors_UxA=SOURCES)
    assert weights_of(alone, INNER) == {b"er": 1.0}
    apart = made("hybrid(least=1.1)", vectors_VxA=VECTORS, source_vectors_UxA=SOURCES)
    assert weights_of(apart, INNER) == pytest.approx({b"in": local[0], b"n": local[1], b"er": local[2]}, abs=1e-6)


def test_low_rank_rows_are_projections():
    """With all directions it is the combination; with fewer its projection on the strongest singular vectors."""
    given = {"vectors_VxA": VECTORS, "source_vectors_UxA": SOURCES}
    whole = made("low_rank", **given)
    as_neighbours = made("source_neighbours", **given)
    np.testing.assert_allclose(whole.rows_VxD, as_neighbours.rows_VxD, atol=1e-5)
    np.testing.assert_allclose(whole.provenance.residual_V[[INNER, PHRASE]], 0, atol=1e-5)
    _, _, axes = np.linalg.svd(TABLE[3:].astype(np.float64), full_matrices=False)
    cut = made("low_rank(rank=2)", **given)
    expected = whole.rows_VxD[INNER] @ axes[:2].T @ axes[:2]
    np.testing.assert_allclose(cut.rows_VxD[INNER], expected, atol=1e-5)
    left = np.linalg.norm(expected - whole.rows_VxD[INNER]) / np.linalg.norm(whole.rows_VxD[INNER])
    assert cut.provenance.residual_V[INNER] == pytest.approx(left, abs=1e-4) and left > 0.1
    np.testing.assert_array_equal(cut.rows_VxD[: V - 2], TABLE)  # what is taken over stays whole


def test_translations_are_brought_to_a_mean():
    """Three times `in` and once `123`; a token without any is the mean of its parts."""
    counts = scipy.sparse.csr_array(([3.0, 1.0], ([INNER, INNER], [ID[b"in"], ID[b"123"]])), shape=(V, U))
    found = made("translated", translations_VxU=counts)
    assert weights_of(found, INNER) == pytest.approx({b"in": 0.75, b"123": 0.25})
    assert weights_of(found, PHRASE) == pytest.approx({b"the": 0.5, b" cat": 0.5})
    with pytest.raises(TransferError, match=r"translations of shape \(270, 3\), not \(270, 268\)"):
        made("translated", translations_VxU=counts[:, :3])
    with pytest.raises(TransferError, match="a count of translations is negative, or not finite"):
        made("translated", translations_VxU=-counts)


@pytest.mark.parametrize("said", ["hybrid", "low_rank", "source_neighbours"])
def test_vectors_that_do_not_fit_are_refused(said):
    """Of another width they are of another space, and without any there is nothing to compare."""
    for sources, message in (
        (SOURCES[1:], "267 vectors of width 4 for the source's 268 ids"),
        (SOURCES[:, :3], "268 vectors of width 3 for the source's 268 ids, and 4 wide ones"),
        (np.where(np.arange(U)[:, None] == 7, np.float32(np.nan), SOURCES), "the vector of the source's id 7 is not"),
        (0 * SOURCES, "none of the source's tokens has a vector: all are zeros"),
    ):
        with pytest.raises(TransferError, match=message):
            made(said, vectors_VxA=VECTORS, source_vectors_UxA=sources)
    with pytest.raises(TransferError, match="the auxiliary vector of id 9 is not finite"):
        made(said, vectors_VxA=np.where(np.arange(V)[:, None] == 9, np.nan, VECTORS), source_vectors_UxA=SOURCES)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("hybrid(w_glob=2)", "w_glob is 2.0; it is from 0"),
        ("hybrid(most=0)", "most is 0, temperature is 0.3"),
        ("low_rank(rank=0)", "rank is 0, most is 10"),
        (
            "source_neighbours(weighting=max)",
            "source_neighbours: unknown weighting 'max'; there are sparsemax, softmax",
        ),
        ("neighbours(temperature=0)", "neighbours: temperature is 0.0, most is 0"),
        ("hybrid(vectors_VxA=3)", "vectors_VxA cannot be '3'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(said, message):
    with pytest.raises(TransferError, match=message):
        make_method(said, vectors_VxA=VECTORS, source_vectors_UxA=SOURCES)


def test_no_row_is_zeros_and_none_is_broken():
    """A row of zeros has the logit 0, which may be above all others; where a method makes nothing, it is the mean."""
    nothing = scipy.sparse.csr_array((V - 2, U), dtype=np.float32)
    zeros = init_embeddings(SOURCE, TARGET, TABLE, None, method_in=lambda problem: Made(0 * TABLE[:2], nothing[:2]))
    np.testing.assert_allclose(zeros.entering.rows_VxD[-2:], np.tile(TABLE.mean(0), (2, 1)), atol=1e-6)
    assert zeros.entering.provenance.kind_V[-2:].tolist() == [UNMATCHED] * 2
    with pytest.raises(TransferError, match="makes a row that is not finite for b'inner'"):
        init_embeddings(SOURCE, TARGET, TABLE, None, method_in=lambda p: Made(np.nan * TABLE[:2], nothing[:2]))
    padded = Greedy((*WORDS, b"inner"), specials=("<s>", "</s>", "<pad>", "<never used>"))
    found = init_embeddings(SOURCE, padded, TABLE, None, method_in=make_method("mean")).entering.rows_VxD
    assert np.abs(found).sum(axis=1).min() > 0
