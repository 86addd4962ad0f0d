"""From nats at symbols to measures of a document."""

import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.evals.compressors import compressed_bpb, order0_entropy
from lexitok.evals.tally import Scored, nats_by_byte, tally, words_right
from lexitok.text.segmentation import Segmentation

EOT, END = 999, 998


def score_of(doc, nbytes, words):
    return tally(doc, b"x" * nbytes, words, decoded=b"x" * nbytes, eot=EOT)


def scored(symbols, nbytes, nll=None, top=None):
    n = len(symbols)
    nll = np.ones(n) if nll is None else nll
    top = np.ones(n) if top is None else top
    return Scored(np.array(symbols, np.int32), np.array(nbytes, np.int32), np.array(nll), np.array(top, bool))


def words_of(*lengths):
    starts = np.zeros(sum(lengths), bool)
    starts[np.cumsum([0, *lengths])[:-1]] = True
    return Segmentation(starts, np.zeros(len(starts), np.int32))


def test_end_of_unit_nats_are_text_and_stand_with_the_byte_after_them():
    """Their nats would be lost, or counted to the wrong part of a word, which flatters models that have them."""
    doc = scored([1, 2, END, 3, END, EOT], [1, 1, 0, 1, 0, 0], nll=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    score = score_of(doc, 3, words_of(2, 1))
    assert (score.nats, score.eot_nats, score.nbytes, score.scored) == (31.0, 32.0, 3, 3)
    assert score.first_nats == 1.0 + (4.0 + 8.0 + 16.0)  # nothing follows the last one: it stays with the last byte
    np.testing.assert_array_equal(nats_by_byte(doc, EOT), [1.0, 2.0, 28.0])


def test_tokens_share_their_nats_evenly_and_have_no_first_byte():
    """A number for a first byte inside a token would be made up."""
    doc = scored([5, 6, EOT], [3, 1, 0], nll=[3.0, 1.5, 9.0])
    np.testing.assert_allclose(nats_by_byte(doc, EOT), [1.0, 1.0, 1.0, 1.5])
    assert math.isnan(score_of(doc, 4, words_of(2, 2)).first_nats)


def test_a_token_that_overlaps_two_words_makes_both_wrong():
    """Word accuracy has to be the same measure for tokens that cross the fixed words."""
    words = words_of(3, 2, 1)  # bytes 2 and 3, the second token's, are of words 0 and 1
    crossing, within = (scored([5, 6, 7, EOT], [2, 2, 2, 0], top=top) for top in ([1, 0, 1, 0], [1, 1, 0, 0]))
    assert words_right(crossing, EOT, words).tolist() == [False, False, True]
    assert words_right(within, EOT, words).tolist() == [True, False, False]


def test_end_symbols_count_for_a_word_only_within_it():
    """An end-of-unit symbol between two words belongs to neither; inside a word it is part of spelling it."""
    stream, words = ([1, END, 2, END, 3, END, EOT], [1, 0, 1, 0, 1, 0, 0]), words_of(2, 1)
    inside, between = (scored(*stream, top=np.arange(7) != wrong) for wrong in (1, 3))
    assert words_right(inside, EOT, words).tolist() == [False, True]
    assert words_right(between, EOT, words).tolist() == [True, True]


@given(st.data())
def test_words_and_bytes_agree_with_a_loop_over_symbols(data):
    """The vectorised sums are checked against the definition, for any mixture of lengths."""
    nbytes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    lengths = _cut(data, sum(nbytes))
    top = [*data.draw(st.lists(st.booleans(), min_size=len(nbytes), max_size=len(nbytes))), False]
    doc = scored([*range(1, len(nbytes) + 1), EOT], [*nbytes, 0], nll=np.arange(1.0, len(nbytes) + 2), top=top)
    expected = [True] * len(lengths)
    ends, at = np.cumsum(lengths), 0
    for n, is_top in zip(nbytes, top, strict=False):
        for w, end in enumerate(ends):
            begin = end - lengths[w]
            overlaps = at < end and at + n > begin if n else begin < at < end
            expected[w] &= is_top or not overlaps
        at += n
    score = score_of(doc, at, words_of(*lengths))
    assert words_right(doc, EOT, words_of(*lengths)).tolist() == expected
    assert (score.words, score.words_right) == (len(lengths), sum(expected))
    if at:
        assert math.isclose(nats_by_byte(doc, EOT).sum(), score.nats)


def test_words_of_other_bytes_are_refused():
    """Words and symbols over different bytes would be compared without notice."""
    with pytest.raises(ValueError, match="2 bytes, but the document's symbols stand for 1"):
        score_of(scored([1, EOT], [1, 0]), 1, words_of(1, 1))


def test_compressors_say_what_they_compress():
    """A reference that is computed on other bytes than the model's is none."""
    documents = [b"abcd" * 100, b"abcd" * 100]
    found = compressed_bpb(documents)
    assert found["gzip"] == 8 * len(gzip.compress(b"".join(documents), 9, mtime=0)) / 800
    assert found["gzip_each"] > found["gzip"] and found["xz_each"] > found["xz"]
    assert found["order0"] == order0_entropy(bytes(range(4))) == 2.0
    assert all(math.isnan(value) for value in compressed_bpb([b""]).values())


def _cut(data, total):
    lengths = []
    while sum(lengths) < total:
        lengths.append(data.draw(st.integers(1, total - sum(lengths))))
    return lengths
