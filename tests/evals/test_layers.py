"""What is found in the layers is what is there: codes in what enters, a table's neighbours in the table."""

import functools

import numpy as np
import pytest
from samples import made, small, small_config

from lexitok import config as C
from lexitok.evals.bit_probe import bit_probe, bits_of, held_out
from lexitok.evals.layers import MeanStreams, bits_by_layer, mean_streams, nearest, occurrences, overlap_by_layer
from lexitok.evals.text_rows import ProbeError, stretches
from lexitok.interfaces.binary import id_bits
from lexitok.interfaces.checks import input_vectors

RNG = np.random.default_rng(0)
DOCUMENTS = [RNG.bytes(200) for _ in range(5)]
READ = {"rows": 2}


@functools.cache
def binary():
    c = small_config("bytes")
    c.model.interface = C.binary()
    return made(c)


@functools.cache
def text():
    return stretches(small("bytes")[1], DOCUMENTS, 128)


@pytest.mark.parametrize("new", ["rows", "symbols"])
def test_bits_are_exact_in_what_enters_a_model_with_codes(new):
    """The probe recovers the id from its code, of symbols that it has never seen, too: no information is lost."""
    model, encoder = binary()
    found = bits_by_layer(occurrences(model, encoder, text(), **READ), 260, new=new)
    assert found.exact.shape == (3,) and found.bits.shape == (3, 9)
    assert found.exact[0] == 1.0 and (found.bits[0] == 1.0).all()
    assert found.majority[8] == 1.0 and found.majority[:8].mean() < 0.7  # bytes are below 256


def test_a_table_has_no_bits_of_symbols_that_are_new():
    """The held-out number must be able to be low: drawn vectors say nothing of the ids of others."""
    model, encoder = small("bytes")
    found = bits_by_layer(occurrences(model, encoder, text(), **READ), 260, new="symbols")
    assert found.exact[0] < 0.05 and found.bits[0, :8].mean() < 0.65


def test_vectors_of_one_row_are_on_one_side():
    """A lexinvariant model gives a symbol one vector in a row: a probe that has seen it there would know it again."""
    c = small_config("bytes")
    c.model.interface = C.lexinvariant()
    model, encoder = made(c)
    rows = stretches(encoder, [b"abcdef" * 11] * 3, 64)
    found = bits_by_layer(occurrences(model, encoder, rows, **READ), 260, new="rows")
    assert found.exact[0] < 0.5
    with pytest.raises(ProbeError, match="new rows or symbols, not on new 'places'"):
        bits_by_layer(occurrences(model, encoder, rows, **READ), 260, new="places")


def test_what_is_held_out_is_on_one_side():
    """A symbol on both sides would make the held-out number that of the other."""
    ids = RNG.integers(0, 20, 400)
    out = held_out(ids)
    assert not set(ids[out]) & set(ids[~out]) and len(set(ids[out])) == 4
    assert bits_of(np.array([5]), 4).tolist() == [[1, 0, 1, 0]]
    assert [id_bits(V) for V in (1, 2, 256, 257)] == [1, 1, 8, 9]
    with pytest.raises(ProbeError, match="of 3 all are for one"):
        bit_probe(np.ones((3, 2)), np.arange(3), 2, np.zeros(3, bool))


def test_places_are_of_their_symbols_and_not_too_many():
    """Streams that are off by one position would be of the symbol before."""
    model, encoder = small("bytes")
    found = occurrences(model, encoder, text(), most=2, **READ)
    table = input_vectors(model.interface)
    np.testing.assert_allclose(found.streams[0], table[found.ids], rtol=1e-6)
    assert all(symbol in text().symbols[row, :-1] for symbol, row in zip(found.ids, found.rows, strict=True))
    read = np.bincount(text().symbols[:, :-1].reshape(-1), minlength=260)
    np.testing.assert_array_equal(np.bincount(found.ids, minlength=260), np.minimum(read, 2))


def test_mean_streams_are_the_means_over_places():
    """The sums on the device, against those of all places."""
    model, encoder = small("bytes")
    found = mean_streams(model, encoder, text(), least=3, **READ)
    places = occurrences(model, encoder, text(), most=1000, **READ)
    counts = np.bincount(places.ids, minlength=260)
    assert found.ids.tolist() == np.flatnonzero(counts >= 3).tolist()
    np.testing.assert_array_equal(found.counts, counts[found.ids])
    for i, symbol in enumerate(found.ids[:10]):
        wanted = places.streams[:, places.ids == symbol].mean(1)
        np.testing.assert_allclose(found.vectors[:, i], wanted, rtol=1e-4, atol=1e-5)


def test_a_probe_of_nothing_names_the_majority():
    """Bits are not balanced: the accuracy has something to be compared with."""
    ids = np.array([7] * 30 + [4] * 10)
    found = bit_probe(np.zeros((40, 2)), ids, 3, np.arange(40) % 4 == 0)
    assert found.bits.tolist() == found.majority.tolist() == [0.8, 0.8, 1.0] and found.exact == 0.8


def test_neighbours_are_the_nearest_by_angle_from_the_mean():
    """Against the definition, one by one."""
    vectors = RNG.normal(size=(12, 5)) + 10
    found = nearest(vectors, 3)
    centred = vectors - vectors.mean(0)
    for i, row in enumerate(found):
        cosines = centred @ centred[i] / np.linalg.norm(centred, axis=1) / np.linalg.norm(centred[i])
        assert row.tolist() == [j for j in np.argsort(-cosines) if j != i][:3]
    with pytest.raises(ProbeError, match="12 neighbours of each of 12 symbols"):
        nearest(vectors, 12)


def test_overlap_is_all_with_itself_and_chance_with_others():
    """Both ends of the scale; and texts that differ are not compared."""
    model, encoder = small("bytes")
    means = mean_streams(model, encoder, text(), least=1, **READ)
    itself = overlap_by_layer(means, means, k=5)
    assert itself.mean[0] == 1.0 and itself.error[0] == 0.0 and itself.mean[2] < 1.0
    assert overlap_by_layer(means, means, k=5, reference_layer=2).mean[2] == 1.0
    drawn = MeanStreams(means.ids, means.counts, RNG.normal(size=means.vectors.shape).astype(np.float32))
    other = overlap_by_layer(means, drawn, k=5)
    assert other.chance == 5 / (len(means.ids) - 1) and other.mean[0] < 4 * other.chance
    with pytest.raises(ProbeError, match="the same symbols of the same text"):
        overlap_by_layer(means, MeanStreams(means.ids[1:], means.counts[1:], means.vectors[:, 1:]), k=5)
    with pytest.raises(ProbeError, match="layers 0 to 2, and no 3"):
        overlap_by_layer(means, means, k=5, reference_layer=3)
    with pytest.raises(ProbeError, match="no symbol stands at 10000 places"):
        mean_streams(model, encoder, text(), least=10000, **READ)
