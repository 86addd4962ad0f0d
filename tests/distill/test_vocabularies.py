"""What symbols of two vocabularies are to one another: the same, parts, in one pair; and which begin something new."""

import numpy as np
from pairs import model_of

from lexitok.distill.beginnings import BEGINS, GOES_ON, beginnings
from lexitok.distill.losses.hybrid import together
from lexitok.distill.projection import projection
from lexitok.distill.shared_symbols import shared_symbols
from lexitok.text.alignment import NONE
from lexitok.text.vocabulary import Vocabulary


def test_what_begins_something_new():
    """White space in front, or no bytes at all."""
    vocabulary = Vocabulary((b"", b" a", b"a ", b"\n", b"\t\t", b"b"), frozenset({0}), bos=0, eot=0, pad=0)
    assert beginnings(vocabulary).tolist() == [BEGINS, BEGINS, GOES_ON, BEGINS, BEGINS, GOES_ON]


def test_shared_symbols_are_pairs():
    """By bytes, and specials by what they are for; none is in two pairs."""
    (_, a), (_, b) = model_of("others"), model_of("pairs")
    shared = shared_symbols(a.vocabulary, b.vocabulary)
    assert len(set(shared.student)) == len(set(shared.teacher)) == len(shared.student)
    for i, j in zip(shared.student.tolist(), shared.teacher.tolist(), strict=True):
        assert a.vocabulary.token_bytes[i] == b.vocabulary.token_bytes[j]
    of = shared.teacher_of(a.vocabulary.size)
    assert of[a.vocabulary.eot] == b.vocabulary.eot and (of == NONE).sum() == a.vocabulary.size - len(shared.student)
    assert {b"ack", b"er"} - {a.vocabulary.token_bytes[i] for i in shared.student.tolist()} == set()


def test_projections_are_those_of_the_paper():
    """A symbol that both have is itself; parts weigh a tenth of the one before, four at most."""
    (_, a), (_, b) = model_of("others"), model_of("pairs")
    matrix = projection(a, b)
    expected = {2: [0.90909, 0.09091], 3: [0.900901, 0.090090, 0.009009], 4: [0.90009, 0.090009, 0.0090009, 0.00090009]}
    tokens = a.vocabulary.token_bytes, b.vocabulary.token_bytes
    for i in set(matrix.student.tolist()):
        at = matrix.student == i
        weights, parts = matrix.weights[at], [tokens[1][j] for j in matrix.teacher[at].tolist()]
        np.testing.assert_allclose(weights, expected.get(len(parts), [1.0]), atol=1e-5)
        assert tokens[0][i].startswith(b"".join(parts))  # four parts are all, or the first of more
    assert (matrix.student == tokens[0].index(b"th")).sum() == 2
    jugs = tokens[0].index(b" jugs")
    to_bytes = projection(a, model_of("bytes")[1])
    assert to_bytes.teacher[to_bytes.student == jugs].tolist() == list(b" jug")
    weights = to_bytes.weights[to_bytes.student == jugs]
    np.testing.assert_allclose(weights, expected[4], rtol=1e-4)


def test_what_goes_together_is_in_one_pair():
    """Symbols that both have, and others with the first of their parts where that is free."""
    (_, a), (_, b) = model_of("others"), model_of("pairs")
    pairs = list(zip(*(ids.tolist() for ids in together(a, b)), strict=True))
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    shared = shared_symbols(a.vocabulary, b.vocabulary)
    assert set(zip(shared.student.tolist(), shared.teacher.tolist(), strict=True)) == set(pairs)  # all parts are tokens
    ours, theirs = (encoder.vocabulary.token_bytes for encoder in (b, a))
    back = list(zip(*(ids.tolist() for ids in together(b, a)), strict=True))
    assert (ours.index(b"the "), theirs.index(b"th")) in back and len(back) > len(pairs)
