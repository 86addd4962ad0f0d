"""The checks of fixed interfaces find what is wrong with one."""

import numpy as np
import pytest
from flax import nnx

from lexitok import config as C
from lexitok.interfaces import make_interface
from lexitok.interfaces.checks import check_vectors, input_vectors

RNG = np.random.default_rng(0)


def gaussians(V: int, D: int) -> np.ndarray:
    return RNG.normal(size=(V, D)).astype(np.float32)


def test_collisions_zeros_and_norms_are_found():
    """They are what makes symbols one, or none."""
    x = gaussians(12, 5)
    x[[3, 7, 9]] = x[3]
    x[[2, 4]] = np.array([0.0, -0.0], np.float32)[:, None]  # equal, though not bit by bit
    x[11] = 2 * x[3]  # not equal
    report = check_vectors(x)
    assert report.groups == ((3, 7, 9), (2, 4)) and report.distinct == 9 and not report.injective
    assert report.zeros == (2, 4)
    lengths = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(report.norms, (0, np.median(lengths), lengths.max()), rtol=1e-6)
    assert report.by_cosine[0].ids == (3, 11) and report.by_cosine[0].value == pytest.approx(1, abs=1e-6)
    assert check_vectors(gaussians(9, 4)).injective


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_the_rank_is_that_of_the_factors(rank):
    """Vectors in a subspace waste the width; rounding must not hide it."""
    x = (gaussians(300, rank) @ gaussians(rank, 8) * 1e3).astype(np.float32)
    assert check_vectors(x, pairs=0).rank == rank
    assert check_vectors(np.zeros((4, 3), np.float32)).rank == 0


def test_the_nearest_pairs_are_those_of_all_pairs(monkeypatch):
    """The comparison in blocks against one of everything with everything."""
    monkeypatch.setattr("lexitok.interfaces.checks._BLOCK", 16)
    x = gaussians(70, 6) * RNG.uniform(0.2, 3, size=(70, 1)).astype(np.float32)
    x[60] = x[5]  # one vector: only the first of the two is compared
    x[33] = 0
    report = check_vectors(x, pairs=7)
    kept = [i for i in range(70) if i != 60]
    pairs = [(i, j) for i in kept for j in kept if i < j]
    distance = {(i, j): np.linalg.norm(x[i].astype(float) - x[j]) for i, j in pairs}
    cosine = {(i, j): x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]) for i, j in pairs if 33 not in (i, j)}
    assert [pair.ids for pair in report.by_distance] == sorted(distance, key=distance.__getitem__)[:7]
    assert [pair.ids for pair in report.by_cosine] == sorted(cosine, key=cosine.__getitem__, reverse=True)[:7]
    np.testing.assert_allclose([p.value for p in report.by_distance], sorted(distance.values())[:7], rtol=1e-6)
    np.testing.assert_allclose([p.value for p in report.by_cosine], sorted(cosine.values())[:-8:-1], rtol=1e-5)


def test_vectors_that_differ_by_little_are_measured_exactly():
    """In float32 the distance of two near vectors drowns in that of their lengths."""
    x = gaussians(40, 16)
    x[9] = x[30] + np.float32(1e-4) * np.eye(16, dtype=np.float32)[3]
    nearest = check_vectors(x, pairs=1).by_distance[0]
    assert nearest.ids == (9, 30) and nearest.value == pytest.approx(1e-4, rel=1e-2)


def test_the_text_names_what_it_found():
    """A report is read by people, who know symbols by their text."""
    x = np.array([[1, 0], [1, 0], [0, 0], [0, 2], [0, 2], [3, 3]], np.float32)
    text = check_vectors(x, names=list("abcdef"), pairs=1).text(groups=1)
    assert "4 distinct vectors; 4 symbols share theirs, in 2 groups" in text
    assert "2 the same: 0 a, 1 b\n" in text and "and 1 groups more" in text and "zero vectors: 1: 2 c" in text
    assert "3 d, 4 e" in check_vectors(x, names=list("abcdef")).text(groups=None)


def test_one_vector_alone_has_no_pairs():
    """A vocabulary of one is no error, nor is one in which all are the same."""
    for x in (np.ones((1, 3), np.float32), np.ones((5, 3), np.float32), np.zeros((2, 3), np.float32)):
        report = check_vectors(x)
        assert report.distinct == 1 and report.by_cosine == report.by_distance == ()


@pytest.mark.parametrize(
    ("x", "names", "message"),
    [
        (np.zeros((0, 3), np.float32), None, "0 vectors of 3 elements"),
        (np.full((2, 3), np.nan, np.float32), None, "have to be finite"),
        (np.zeros((2, 3), np.float32), ["a"], "1 names for 2 vectors"),
    ],
)
def test_what_cannot_be_checked_is_refused(x, names, message):
    """A report of nothing would look like one of a fault, or of none."""
    with pytest.raises(ValueError, match=message):
        check_vectors(x, names)


@pytest.mark.parametrize("V", [5, 4100])
def test_input_vectors_are_those_of_every_id_in_order(V):
    """A block that is cut or filled in a wrong way would give a symbol another's vector."""
    table = make_interface(C.table(), V, 3, nnx.Rngs(0))
    np.testing.assert_array_equal(input_vectors(table), np.asarray(table.table[...]))
