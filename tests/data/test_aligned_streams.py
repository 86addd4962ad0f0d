"""Two tokenisations of a document: the same bytes in every piece, all of them once on both sides, aligned by offset."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import Pairs

from lexitok.config import default_config
from lexitok.data.aligned_streams import cut_together
from lexitok.data.batch import Budget, Tokenisation
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.layout import cut, make_piece, reach
from lexitok.data.pipeline import batch_iterator, train_iterator
from lexitok.data.ranges import ranges, shared_stops
from lexitok.data.rows import pack_rows
from lexitok.data.windows import eval_batches
from lexitok.text.alignment import NONE, TokenEnds, align, classes_of
from lexitok.text.vocabulary import Encoding

KINDS = ("bytes", "pairs", "lagged", "end_symbol", "slots", "revealed", "fused", "model")
PARTS = [b"the ", b" a", b"in", b"er, ", b"\n\n", "ö".encode(), "世界".encode(), b"123", b"x" * 9, b"\xff", b" "]
texts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=40).map(b"".join)
kinds = st.sampled_from(KINDS)


@pytest.fixture(scope="module")
def encoder_of(encoders):
    return encoders | {"pairs": SubwordEncoder(Pairs())}


def budgets_of(encoders, symbols, units):
    return tuple(Budget.of(encoder, symbols, units) for encoder in encoders)


def cut_by(encoders, data, budgets):
    """Streams and pieces of a document."""
    streams = [encoder.encode(data) for encoder in encoders]
    classes = tuple(classes_of(encoder.vocabulary) for encoder in encoders)
    return streams, cut_together(streams, budgets, classes, "the text")


def raw(encoder, piece):
    return encoder.decode(piece.targets[piece.targets != encoder.vocabulary.eot])


@settings(max_examples=150)
@given(a=kinds, b=kinds, data=texts, symbols=st.integers(24, 60), units=st.integers(6, 20))
def test_pieces_are_the_same_bytes_on_both_sides(encoder_of, a, b, data, symbols, units):
    """Every symbol of both streams is a target once; each pair of pieces is one stretch of the text, within budgets."""
    encoders = encoder_of[a], encoder_of[b]
    budgets = budgets_of(encoders, symbols, units)
    streams, pieces = cut_by(encoders, data, budgets)
    sides = pieces, [piece.others[0] for piece in pieces]
    for encoder, stream, side, budget in zip(encoders, streams, sides, budgets, strict=True):
        assert np.concatenate([piece.targets for piece in side]).tolist() == stream.symbols.tolist()
        assert np.concatenate([piece.weights for piece in side]).tolist() == stream.predicted.tolist()
        assert all(len(piece) <= budget.S and piece.units <= (budget.W or len(piece)) for piece in side)
        stops = np.cumsum([len(piece) for piece in side])
        for start, stop, piece in zip([0, *stops[:-1]], stops, side, strict=True):  # as cut one by one
            expected = make_piece(stream, int(start), int(stop))
            for name in ("symbols", "targets", "nbytes", "weights", "unit_of", "guide_of"):
                assert getattr(piece, name).tolist() == getattr(expected, name).tolist()
        assert b"".join(raw(encoder, piece) for piece in side) == data
    for piece in pieces:
        assert raw(encoders[0], piece) == raw(encoders[1], piece.others[0])


@settings(max_examples=150)
@given(a=kinds, b=kinds, data=texts, symbols=st.integers(24, 60), units=st.integers(6, 20))
def test_pieces_end_at_the_furthest_place_at_which_units_of_both_end(encoder_of, a, b, data, symbols, units):
    """A unit that is cut in two is pooled from less than it holds, and a piece that could be longer wastes rows."""
    encoders = encoder_of[a], encoder_of[b]
    budgets = budgets_of(encoders, symbols, units)
    streams, pieces = cut_by(encoders, data, budgets)
    stops = [tuple(stop) for stop in np.append(shared_stops(*streams), [[len(s)] for s in streams], axis=1).T.tolist()]
    assert stops == sorted(stops) and all(x[0] < y[0] and x[1] < y[1] for x, y in itertools.pairwise(stops))

    def whole(stop):
        return all(stream.unit_ends[at - 1] for stream, at in zip(streams, stop, strict=True))

    lengths = [(len(piece), len(piece.others[0])) for piece in pieces]
    places = [tuple(at) for at in np.cumsum([(0, 0), *lengths], axis=0).tolist()]
    for start, stop in itertools.pairwise(places):
        far = [reach(s, at, b.S, b.W) for s, at, b in zip(streams, start, budgets, strict=True)]
        within = [place for place in stops if start < place and place[0] <= far[0] and place[1] <= far[1]]
        assert stop == max(filter(whole, within), default=within[-1])


@pytest.mark.parametrize("b", ["bytes", "fused"])
@pytest.mark.parametrize("a", KINDS)
def test_the_end_of_a_document_may_be_left_over(encoder_of, a, b):
    """Where all its bytes just fit, its end does not: it is predicted all the same, on both sides."""
    encoders = encoder_of[a], encoder_of[b]
    data = b"the cat, in"
    budgets = Budget.of(encoders[0], 40, 20), Budget.of(encoders[1], len(data), 20)
    streams, (most, last) = cut_by(encoders, data, budgets)
    assert raw(encoders[0], last) == raw(encoders[1], last.others[0]) and data.endswith(raw(encoders[0], last))
    assert len(most) + len(last) == len(streams[0]) and len(most.others[0]) + len(last.others[0]) == len(streams[1])
    ends = [encoder.vocabulary.eot for encoder in encoders]
    assert [last.targets[-1], last.others[0].targets[-1]] == ends
    assert last.others[0].alignment.of_a[-1] == last.others[0].alignment.of_b[-1] == last.others[0].alignment.count - 1


@settings(max_examples=100)
@given(a=kinds, b=kinds, documents=st.lists(texts, min_size=1, max_size=4))
def test_spans_of_a_row_are_those_of_its_pieces(encoder_of, a, b, documents):
    """Packing several pieces in a row must give what each has alone, numbered on; and no more spans than is said."""
    encoders = encoder_of[a], encoder_of[b]
    pieces = [piece for data in documents for piece in cut_by(encoders, data, budgets_of(encoders, 60, 30))[1]]
    S, T = (sum(len(p) for p in side) + 3 for side in (pieces, [piece.others[0] for piece in pieces]))
    W = sum(p.units + p.others[0].units for p in pieces)
    second = Budget.of(encoders[1], T, W)
    units = None if encoders[0].boundary == "none" else W
    batch = pack_rows([[], pieces], symbols=S, units=units, pad=0, others=[second])
    assert batch.others[0].alignment.spans == min(S, T)
    expected, before = ([], []), 0
    for piece in pieces:
        sides = []
        for encoder, one in zip(encoders, (piece, piece.others[0]), strict=True):
            sides.append(TokenEnds.of(one.targets, one.nbytes, encoder.vocabulary))
        found = align(*sides)
        for of, out in zip((found.of_a, found.of_b), expected, strict=True):
            out.extend(NONE if span == NONE else int(span) + before for span in of)
        before += found.count
    assert before <= batch.others[0].alignment.spans
    assert batch.others[0].alignment.of_first_BxS.tolist() == [[NONE] * S, expected[0] + [NONE] * 3]
    assert batch.others[0].alignment.of_second_BxT.tolist() == [[NONE] * T, expected[1] + [NONE] * 3]
    one_by_one = pack_rows([[], [piece.others[0] for piece in pieces]], symbols=T, units=second.W, pad=second.pad)
    for name, value in vars(batch.others[0].tokens).items():
        if name != "units":
            np.testing.assert_array_equal(value, getattr(one_by_one.tokens, name))
        elif value is not None:
            for of_units, array in vars(value).items():
                np.testing.assert_array_equal(array, getattr(one_by_one.tokens.units, of_units))


@given(kind=kinds, data=texts)
def test_identical_tokenizers_align_one_to_one(encoder_of, kind, data):
    """Then a loss between tokenizers is the plain loss: each target is a span of its own, and the same one."""
    encoder = encoder_of[kind]
    pair = encoder, encoder
    streams, pieces = cut_by(pair, data, budgets_of(pair, 40, 20))
    alone = cut(streams[0], 40, budgets_of(pair, 40, 20)[0].W)
    assert sum(map(len, alone)) == sum(map(len, pieces))
    for piece in pieces:
        spans = piece.others[0].alignment.of_a
        assert spans.tolist() == piece.others[0].alignment.of_b.tolist()
        assert sorted(spans.tolist()) == list(range(len(piece))) and piece.others[0].alignment.one_to_one.all()


def test_bytes_and_tokens_by_hand(encoder_of):
    """`the |in|ö|.` beside its bytes; specials meet their like, and nothing goes by its position."""
    encoders = encoder_of["pairs"], encoder_of["bytes"]
    data = "the inö.".encode()
    _, (piece,) = cut_by(encoders, data, budgets_of(encoders, 16, 9))
    batch = pack_rows([[piece, piece]], symbols=12, units=None, pad=2, others=[Budget.of(encoders[1], 22, 9)])
    assert batch.others[0].alignment.of_first_BxS.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, NONE, NONE]]
    a, b = ([0 + n] * 4 + [1 + n] * 2 + [2 + n] * 2 + [3 + n, 4 + n] for n in (0, 5))
    assert batch.others[0].alignment.of_second_BxT.tolist() == [[*a, *b, NONE, NONE]]
    assert batch.others[0].tokens.segments_BxS.tolist() == [[1] * 10 + [2] * 10 + [0, 0]]


def test_a_unit_that_is_closed_by_a_symbol_is_closed_before_a_cut(encoder_of):
    """The symbol has no bytes, so it is at the offset of a cut too; behind it, the next piece would begin with it."""
    encoders = encoder_of["slots"], encoder_of["bytes"]
    data = b"ab cd ef gh ij kl mn op"
    _, pieces = cut_by(encoders, data, budgets_of(encoders, 12, 8))
    assert len(pieces) > 2
    end = encoders[0].rule.end_of_unit
    for piece in pieces[:-1]:
        assert piece.targets[-1] == end and piece.weights[-1] == 1 and piece.others[0].nbytes[-1] == 1


def test_a_span_that_fits_no_row_is_refused_by_name(encoder_of):
    """It can be cut nowhere, and nothing may be left out: what is to be enlarged is said instead."""
    encoders = encoder_of["pairs"], encoder_of["bytes"]
    data = b"123123the 123"
    takes = "takes 1 symbols of 8 in the first, 4 symbols of 3 in the other"
    with pytest.raises(ValueError, match=rf"the text: from byte 6 on, .* before byte 10; that {takes}"):
        cut_by(encoders, data, (Budget(8, None, 2), Budget(3, None, 2)))


@settings(max_examples=60)
@given(three=st.tuples(kinds, kinds, kinds), documents=st.lists(texts, min_size=1, max_size=3))
def test_three_tokenisations_are_each_aligned_with_the_first(encoder_of, three, documents):
    """Pieces end where all three do, and say the same bytes; each of the others is as it would be beside the first
    alone, cut at the same places."""
    encoders = [encoder_of[kind] for kind in three]
    budgets = budgets_of(encoders, 60, 30)
    pieces = [piece for data in documents for piece in cut_by(encoders, data, budgets)[1]]
    for piece in pieces:
        assert raw(encoders[0], piece) == raw(encoders[1], piece.others[0]) == raw(encoders[2], piece.others[1])
        for encoder, other in zip(encoders[1:], piece.others, strict=True):
            ends = [
                TokenEnds(np.cumsum(each.nbytes, dtype=np.int64), classes_of(by.vocabulary)[each.targets])
                for by, each in ((encoders[0], piece), (encoder, other))
            ]
            alone = align(*ends)
            assert other.alignment.count == alone.count
            assert other.alignment.of_a.tolist() == alone.of_a.tolist()
            assert other.alignment.of_b.tolist() == alone.of_b.tolist()
    units = budgets[0].W and 30 * len(pieces)
    room = [Budget(60 * len(pieces), budget.W and 30 * len(pieces), budget.pad) for budget in budgets]
    both = pack_rows([pieces], symbols=room[0].S, units=units, pad=budgets[0].pad, others=room[1:])
    for number in (0, 1):
        only = [dataclasses.replace(piece, others=(piece.others[number],)) for piece in pieces]
        alone = pack_rows([only], symbols=room[0].S, units=units, pad=budgets[0].pad, others=[room[1 + number]])
        jax.tree.map(np.testing.assert_array_equal, both.others[number], alone.others[0])


def test_three_tokenisations_go_the_whole_way(encoder_of, corpus_of):
    """Every byte once in each, whatever the kinds; and the report is that of the one which has the fewest."""
    others = [Tokenisation(encoder_of["pairs"], 56, 24), Tokenisation(encoder_of["slots"], 64, 24)]
    iterator = batch_iterator(corpus_of(DOCUMENTS), encoder_of["lagged"], others, **SHAPE, epochs=1)
    total = np.zeros(3, int)
    for batch in iterator:
        sides = [batch.tokens, *(other.tokens for other in batch.others)]
        total += [int(side.bytes_BxS.sum()) for side in sides]
    assert total.tolist() == [sum(map(len, DOCUMENTS))] * 3
    metrics = iterator.report.metrics()
    assert metrics["data/fraction_scored"] == metrics["data/other_fraction_scored"] == 1
    documents = DOCUMENTS[:4]
    for _, scored in eval_batches(documents, encoder_of["lagged"], others, rows=2, symbols=48, units=20, overlap=0.3):
        assert all(len(found.others) == 2 for found in scored)


SHAPE = {"rows": 3, "symbols": 48, "units": 20, "packing_bins": 6}
DOCUMENTS = [b"".join(itertools.islice(itertools.cycle(PARTS[i % 5 :]), 3 + 7 * (i % 6))) for i in range(30)]


@pytest.mark.parametrize(("a", "b"), [("lagged", "pairs"), ("pairs", "bytes"), ("pairs", "slots"), ("model", "lagged")])
def test_an_epoch_has_every_byte_once_on_both_sides(encoder_of, corpus_of, a, b):
    """Fraction scored 1 in both, in batches whose rows hold the same text piece by piece, with unchanged first rows."""
    encoders = encoder_of[a], encoder_of[b]
    iterator = batch_iterator(corpus_of(DOCUMENTS), encoders[0], [Tokenisation(encoders[1], 56, 24)], **SHAPE, epochs=1)
    total, several = sum(map(len, DOCUMENTS)), 0
    for batch in iterator:
        assert batch.tokens.symbols_BxS.shape == (3, 48) and batch.others[0].tokens.symbols_BxS.shape == (3, 56)
        assert (batch.others[0].tokens.units is None) == (encoders[1].boundary == "none")
        for row in range(3):
            numbers = batch.tokens.segments_BxS[row]
            assert numbers.max() == batch.others[0].tokens.segments_BxS[row].max()
            several += numbers.max() > 1
            for number in range(1, numbers.max() + 1):
                said = []
                for encoder, side in zip(encoders, (batch.tokens, batch.others[0].tokens), strict=True):
                    targets = side.targets_BxS[row][side.segments_BxS[row] == number]
                    said.append(encoder.decode(targets[targets != encoder.vocabulary.eot]))
                assert said[0] == said[1] and (said[0] or number)
    report, m = iterator.report, iterator.report.metrics()
    assert several and report.bytes_in == report.bytes_scored == report.other_bytes_scored == total
    assert m["data/fraction_scored"] == m["data/other_fraction_scored"] == 1
    assert report.documents == len(DOCUMENTS) and 0.3 < m["data/other_symbols_filled"] <= 1


def test_two_tokenisations_resume_exactly(encoder_of, corpus_of):
    """Where a document is cut depends on both: a state has to find the same piece again, and refuse another second."""
    corpus, pair = corpus_of(DOCUMENTS), (encoder_of["lagged"], [Tokenisation(encoder_of["pairs"], 56, 24)])
    whole = batch_iterator(corpus, *pair, **SHAPE)
    for _ in range(5):
        next(whole)
    state = whole.get_state()
    resumed = batch_iterator(corpus, *pair, **SHAPE)
    resumed.set_state(state)
    for _ in range(6):
        found, expected = next(resumed), next(whole)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert resumed.report == whole.report
    others = Tokenisation(encoder_of["bytes"], 56, 24), Tokenisation(encoder_of["pairs"], 57, 24)
    for refused in ([others[0]], [others[1]], []):
        with pytest.raises(ValueError, match="second was"):
            batch_iterator(corpus, pair[0], refused, **SHAPE).set_state(state)
    with pytest.raises(ValueError, match="further was"):
        batch_iterator(corpus, pair[0], [*pair[1], others[0]], **SHAPE).set_state(state)


@settings(max_examples=60)
@given(a=kinds, b=kinds, documents=st.lists(texts, max_size=3), symbols=st.integers(24, 60), units=st.integers(8, 20),
       overlap=st.sampled_from([0.0, 0.3, 0.5]))  # fmt: skip
def test_windows_score_every_symbol_of_both_once(encoder_of, a, b, documents, symbols, units, overlap):
    """Two models are compared on a stretch of text only where both score the whole of it, once, with context before."""
    encoders = encoder_of[a], encoder_of[b]
    streams = [[encoder.encode(data) for data in documents] for encoder in encoders]
    times = [[np.zeros(len(stream), int) for stream in side] for side in streams]
    second = Tokenisation(encoders[1], symbols + 7, units)
    for batch, scored in eval_batches(
        documents, encoders[0], [second], rows=2, symbols=symbols, units=units, overlap=overlap
    ):
        weighed = [0, 0]
        for first in scored:
            offsets = []
            for side, (found, tokens) in enumerate(((first, batch.tokens), (first.others[0], batch.others[0].tokens))):
                at, columns = (
                    slice(found.start, found.start + found.length),
                    slice(found.column, found.column + found.length),
                )
                stream = streams[side][found.document]
                times[side][found.document][at] += 1
                assert tokens.targets_BxS[found.row, columns].tolist() == stream.symbols[at].tolist()
                assert tokens.weights_BxS[found.row, columns].tolist() == stream.predicted[at].tolist()
                weighed[side] += int(stream.predicted[at].sum())
                spans = (batch.others[0].alignment.of_first_BxS, batch.others[0].alignment.of_second_BxT)[side][
                    found.row, columns
                ]
                offsets.append((found.offset, int(stream.nbytes[at].sum()), set(spans[spans != NONE].tolist())))
            assert offsets[0] == offsets[1]  # the same bytes, and the same spans
        assert weighed == [tokens.weights_BxS.sum() for tokens in (batch.tokens, batch.others[0].tokens)]
    assert all((count == 1).all() for side in times for count in side)


def test_later_windows_of_aligned_streams_see_context(encoder_of):
    """As much as either budget has room for: without it, windows would be scored as if a document began there."""
    encoders = encoder_of["bytes"], encoder_of["pairs"]
    streams = [encoder.encode(b"123" * 20) for encoder in encoders]
    windows = list(ranges(streams, [Budget(40, None, 0), Budget(16, None, 0)], 0.5))
    assert windows == [((0, 39, 0), (0, 13, 0)), ((21, 61, 39), (7, 21, 13))]


class _Silent:
    """A tokenizer that puts a token without bytes before the text and behind it, as SentencePiece does with spaces."""

    def __init__(self):
        self._pairs = Pairs()
        self.vocabulary = self._pairs.vocabulary

    def encode(self, data):
        found, space = self._pairs.encode(data), self._pairs.encode(b" ").ids
        nbytes = np.concatenate([[0], found.nbytes, [0]]).astype(np.int32)
        return Encoding(np.concatenate([space, found.ids, space]), nbytes, lossy=False)

    def to_bytes(self):
        return b""


def test_tokens_without_bytes_are_in_pieces_too(encoder_of):
    """They are predicted like any other; a cut may lose none, at either end of a document."""
    encoders = encoder_of["bytes"], SubwordEncoder(_Silent())
    streams, pieces = cut_by(encoders, b"the 12 123 ab" * 2, budgets_of(encoders, 9, 9))
    assert np.concatenate([piece.others[0].targets for piece in pieces]).tolist() == streams[1].symbols.tolist()
    assert sum(piece.others[0].weights.sum() for piece in pieces) == len(streams[1])
    assert pieces[0].others[0].alignment.of_b[0] == 0  # it goes with what it stands before


def test_lossy_is_said_of_either_tokenizer(encoder_of, corpus_of):
    """What a second tokenizer changes is no less changed."""

    class Lossy(_Silent):
        def encode(self, data):
            found = self._pairs.encode(data.upper())
            return Encoding(found.ids, found.nbytes, lossy=True)

    second = Tokenisation(SubwordEncoder(Lossy()), 56, 24)
    iterator = batch_iterator(corpus_of([b"abc"]), encoder_of["bytes"], [second], **SHAPE, epochs=1)
    next(iterator)
    assert iterator.report.lossy_documents == 1


def test_rows_of_two_tokenisations_take_no_piece_of_one(encoder_of):
    """A row half filled would be scored in one tokenisation and not in the other."""
    stream = encoder_of["bytes"].encode(b"abc")
    with pytest.raises(ValueError, match="in 0 other tokenisations cannot go into rows of 1"):
        pack_rows([cut(stream, 9, None)], symbols=9, units=None, pad=0, others=[Budget(9, None, 0)])


def test_train_iterator_takes_a_second_tokenisation(tmp_path, encoder_of):
    """An objective hands it in, with budgets of its own."""
    config = default_config()
    for i, data in enumerate(DOCUMENTS):
        (tmp_path / f"{i}.txt").write_bytes(data)
    config.data.source, config.data.cache = f"text:{tmp_path}/*.txt", str(tmp_path / "cache")
    config.data.rows, config.data.symbols, config.data.units = 2, 64, 24
    batch = next(train_iterator(config, encoder_of["bytes"], [Tokenisation(encoder_of["lagged"], 80, 30)]))
    assert batch.others[0].tokens.symbols_BxS.shape == (2, 80) and batch.others[0].tokens.units.segments_BxW.shape == (
        2,
        30,
    )
