"""The source whose probabilities are known."""

import itertools

import numpy as np
import pytest

from lexitok.data.markov import BYTES, LETTERS, entropy_rate, nats, probabilities, read_markov
from lexitok.data.sources import open_source


@pytest.fixture(scope="module")
def documents():
    return [document.data for document in itertools.islice(read_markov(), 400)]


def test_texts_are_drawn_by_its_probabilities(documents):
    """What follows two letters is as frequent as it is likely, and a text costs what the rate says."""
    p = probabilities()
    np.testing.assert_allclose(p.sum(-1), 1)
    at = np.array([[LETTERS.find(byte) for byte in document] for document in documents])
    counts = np.zeros_like(p)
    np.add.at(counts, (at[:, :-2], at[:, 1:-1], at[:, 2:]), 1)
    often = counts.sum(-1) > 1000
    assert often.sum() > 20
    np.testing.assert_allclose(counts[often] / counts[often].sum(-1, keepdims=True), p[often], atol=0.06)
    rate = np.mean([nats(document) for document in documents]) / BYTES
    assert rate == pytest.approx(entropy_rate(), rel=0.02) and 0.5 < rate < np.log(len(LETTERS))


def test_a_text_costs_the_sum_of_its_letters():
    """The first two are as likely as any."""
    p, (a, b, c) = probabilities(), (LETTERS.find(byte) for byte in b"abc")
    assert nats(b"abc") == pytest.approx(2 * np.log(len(LETTERS)) - np.log(p[a, b, c]))
    assert nats(b"") == 0
    with pytest.raises(ValueError, match="no byte 122"):
        nats(b"az")


def test_it_is_a_source(tmp_path):
    """By its name, split as others are."""
    sizes = {split: len(open_source("markov", split, cache=tmp_path)) for split in ("train", "validation", "test")}
    assert sizes["train"] > 3000 and min(sizes.values()) > 100 and sum(sizes.values()) == 4000
