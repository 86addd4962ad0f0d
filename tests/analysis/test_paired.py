"""Paired comparisons, against cases whose answer is known."""

import math

import numpy as np
import pytest

from lexitok.analysis.paired import PairingError, difference, mean_scores, spread
from lexitok.evals.tally import DocumentScore
from lexitok.runs.documents import DocumentScores, DocumentsError, read_documents, write_documents


def scores(nats, nbytes) -> DocumentScores:
    nats, nbytes = np.asarray(nats, np.float64), np.asarray(nbytes, np.float64)
    return DocumentScores(nats, nbytes, nbytes / 5, nbytes / 10, nats / 2)


def random_scores(n: int = 300, noise: float = 0.02) -> tuple[DocumentScores, DocumentScores]:
    """Two models on documents of very different difficulty; the second is 0.1 bits per byte worse, give or take."""
    rng = np.random.default_rng(0)
    nbytes = rng.integers(0, 4000, n)
    a = nbytes * rng.uniform(0.5, 2.5, n)
    return scores(a, nbytes), scores(a + nbytes * math.log(2) * rng.normal(0.1, noise, n), nbytes)


def test_the_difference_is_a_ratio_of_sums():
    """A mean over documents would weigh an empty page as much as a book."""
    a, b = scores([10, 100, 0], [10, 1000, 0]), scores([20, 100, 0], [10, 1000, 0])
    assert difference(b, a).value == pytest.approx(10 / 1010 / math.log(2))
    assert difference(a, b).value == -difference(b, a).value


def test_the_interval_is_that_of_the_paired_differences():
    """The documents' own difficulty is a hundred times the difference, and must cancel."""
    a, b = random_scores()
    found = difference(b, a)
    bits, nbytes = (b.nats - a.nats) / math.log(2), b.bytes
    residual = bits - found.value * nbytes
    deviation = math.sqrt(np.sum(residual**2)) / nbytes.sum()  # of a ratio of sums, by linearisation
    assert found.low < found.value < found.high
    assert (found.high - found.low) / (2 * 1.96 * deviation) == pytest.approx(1, abs=0.1)
    wide = difference(b, a, level=0.99)
    assert wide.low < found.low and wide.high > found.high


def test_the_interval_covers_as_often_as_it_says():
    """An interval that is called 95 % and covers 60 % would make noise a result."""
    rng, hits = np.random.default_rng(1), 0
    for seed in range(200):
        nbytes = rng.integers(500, 1500, 60)
        bits = nbytes * rng.normal(0.05, 0.1, 60)
        zero = scores(np.zeros(60), nbytes)
        found = difference(scores(bits * math.log(2), nbytes), zero, resamples=400, seed=seed)
        hits += found.low <= 0.05 <= found.high
    assert 0.89 <= hits / 200 <= 0.99


def test_equal_models_differ_by_nothing_and_a_seed_is_a_result():
    """The same numbers have to come out of the same files."""
    a, b = random_scores()
    same = difference(a, a)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert difference(b, a, seed=3) == difference(b, a, seed=3) != difference(b, a, seed=4)


def test_different_documents_are_not_paired():
    """Paired nats of different texts are noise with a number."""
    a = scores([1, 2], [3, 4])
    with pytest.raises(PairingError, match="2 and 1 documents"):
        difference(a, scores([1], [3]))
    with pytest.raises(PairingError, match="document 1 has 4 bytes .* and 5"):
        difference(a, scores([1, 2], [3, 5]))
    with pytest.raises(PairingError, match="no bytes"):
        difference(scores([0], [0]), scores([0], [0]))
    with pytest.raises(ValueError, match="level is 95"):
        difference(a, a, level=95.0)


def test_an_arm_is_the_mean_of_its_runs():
    """Three seeds make one line of a table."""
    arm = mean_scores([scores([1, 2], [3, 4]), scores([3, 6], [3, 4])])
    assert arm.nats.tolist() == [2, 4] and arm.bytes.tolist() == [3, 4]
    with pytest.raises(PairingError):
        mean_scores([scores([1, 2], [3, 4]), scores([3, 6], [3, 5])])
    found = spread([1.0, 4.0, 1.0])
    assert (found.mean, found.low, found.high, found.n) == (2, 1, 4, 3)
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_scores_are_read_as_they_were_written(tmp_path):
    """A run's documents are compared long after the run."""
    path = tmp_path / "documents.jsonl"
    write_documents(
        path, [DocumentScore(3, 3, 1.1, 9.0, math.nan, 2, 1, False), DocumentScore(0, 0, 0.0, 1.0, 0.0, 0, 0, False)]
    )
    found = read_documents(path)
    assert found.nats.tolist() == [1.1, 0] and found.bytes.tolist() == [3, 0] and found.words_right.tolist() == [1, 0]
    assert math.isnan(found.first_nats[0]) and found.first_nats[1] == 0
    path.write_text(path.read_text() + '{"nats": 1}\n')
    with pytest.raises(DocumentsError, match="line 3"):
        read_documents(path)
