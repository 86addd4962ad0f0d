"""Text under one tokenizer after the other: nothing lost, cut at words, read ahead, and the same after a stop."""

import json

import grain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.data import text_stream
from lexitok.data.cuts import cut_offsets, places
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.packing import Group
from lexitok.data.readers import RawDocument, SourceError
from lexitok.data.text_stream import TextStream, stretches
from lexitok.text.drawn.sampler import SamplerSettings

TINY = SamplerSettings(size=290, window_bytes=60, longest=6, whitespace=2)
ANY = st.lists(st.one_of(st.binary(max_size=9), st.text("ab ß世\n", max_size=90).map(str.encode)), max_size=6)
VALID = st.lists(st.text("ab ß世\n", max_size=90).map(str.encode), max_size=6)


class Taking(Group):
    """In place of a group of rows: takes so many pieces."""

    def __init__(self, room: int):
        self.room, self.empty = room, 0
        self.taken: list[tuple] = []

    def take(self, document, first):
        pieces = document.pieces[first : first + self.room]
        self.room -= len(pieces)
        last = first + len(pieces) == len(document.pieces)
        self.taken += [(piece, document.ends and last and piece is pieces[-1]) for piece in pieces]
        return first + len(pieces)

    def count_empty(self):
        self.empty += 1


def stream_of(documents, base=TINY, stretch=40):
    raw = [RawDocument(str(i), data) for i, data in enumerate(documents)]
    return TextStream(iter(grain.MapDataset.source(raw).to_iter_dataset()), base, stretch)


def read(stream, rooms, S):
    """The state before each batch, its tokenizer and what it took, until nothing is left."""
    for room in rooms:
        state = json.loads(json.dumps(stream.get_state()))
        tokenizer = stream.sample()
        if tokenizer is None:
            return
        group = Taking(room)
        stream.fill(group, SubwordEncoder(tokenizer), S)
        yield state, tokenizer, group


def decoded(tokenizer, piece):
    targets = piece.targets.tolist()
    assert piece.symbols.tolist() == [0, *targets[:-1]]  # `bos` first
    data = tokenizer.vocabulary.decode(targets)
    assert piece.nbytes.sum() == len(data)
    return data, targets[-1] == tokenizer.vocabulary.eot


@settings(max_examples=40)
@given(st.data(), st.integers(1, 9))
def test_every_byte_comes_once_and_in_order(data, S):
    """Whatever the documents, and wherever batches end: tokenizers change under the text, the text does not."""
    documents = data.draw(ANY)
    rooms = iter(lambda: data.draw(st.integers(1, 7)), None)
    found, current, empty = [], b"", 0
    for _, tokenizer, group in read(stream_of(documents), rooms, S):
        empty += group.empty
        for piece, ends in group.taken:
            assert len(piece) <= S
            text, eot = decoded(tokenizer, piece)
            current += text
            assert ends == eot
            if ends:
                found.append(current)
                current = b""
    assert found == [document for document in documents if document] and not current
    assert empty == documents.count(b"")


@settings(max_examples=20)
@given(st.data())
def test_it_goes_on_from_any_batch(data):
    """The same tokenizers and pieces, to the last bit, from a state that is a few numbers."""
    documents, rooms = data.draw(VALID), data.draw(st.lists(st.integers(1, 5), min_size=12, max_size=12))
    whole = list(read(stream_of(documents), rooms, 6))
    for at in range(0, len(whole), 3):
        resumed = stream_of(documents)
        resumed.set_state(whole[at][0])
        rest = list(read(resumed, rooms[at:], 6))
        assert len(rest) == len(whole) - at
        for (state, tokenizer, group), (state_again, again, taken) in zip(whole[at:], rest, strict=True):
            assert state == state_again and group.empty == taken.empty
            assert tokenizer.vocabulary.fingerprint == again.vocabulary.fingerprint
            np.testing.assert_array_equal(tokenizer.log_probabilities, again.log_probabilities)
            assert [p.targets.tolist() for p, _ in group.taken] == [p.targets.tolist() for p, _ in taken.taken]


@settings(max_examples=20)
@given(VALID)
def test_no_piece_ends_within_a_character(documents):
    """Half of one would be single bytes to the next tokenizer, and to its model."""
    for _, tokenizer, group in read(stream_of(documents), [3] * 30, 5):
        for piece, _ in group.taken:
            data, _ = decoded(tokenizer, piece)
            assert data.decode(errors="replace").encode() == data


def test_pieces_end_behind_words_where_one_is_in_reach():
    documents = [b"one three five seven eleven " * 9]
    for _, tokenizer, group in read(stream_of(documents), [2] * 99, 12):
        for piece, ends in group.taken:
            data, _ = decoded(tokenizer, piece)
            assert ends or data.split()[-1] in documents[0].split()


def test_offsets_are_as_far_as_they_can_be_at_the_best_places():
    text = "ab ß  世x".encode()
    assert places(text).tolist() == [1, 1, 2, 1, 0, 2, 1, 1, 0, 0, 1, 2]
    assert cut_offsets(places(text)[1:], 4) == [0, 2, 5, 7, 11][:4]
    assert cut_offsets(places(b"")[1:], 4) == [0] and places(b"").tolist() == [2]
    assert cut_offsets(np.zeros(7, np.int8), 3) == [0, 3, 6]


def test_a_long_document_is_encoded_in_stretches():
    """A book would be encoded from its place to its end for every batch otherwise."""
    raw = RawDocument("book", b"some words " * 40)
    found = list(stretches(raw, None, 64))
    assert b"".join(stretch.data for stretch in found) == raw.data
    assert all(40 < len(stretch.data) <= 64 for stretch in found[:-1])
    assert [stretch.ends for stretch in found] == [False] * (len(found) - 1) + [True]
    assert [stretch.number for stretch in found] == list(range(len(found)))


def test_a_tokenizer_is_drawn_from_the_text_that_it_is_for():
    """And from no other: of what is in rows already, nothing is left in the window."""
    documents = [b"aaab " * 20, b"cccd " * 20]
    base = SamplerSettings(size=270, window_bytes=100, longest=4, whitespace=1, noise=0.0)
    one_by_one = [tokenizer for _, tokenizer, _ in read(stream_of(documents, base, 100), [1] * 200, 8)]
    assert b" aaa" in one_by_one[0].vocabulary.token_bytes and b" ccc" not in one_by_one[0].vocabulary.token_bytes
    assert b" ccc" in one_by_one[-1].vocabulary.token_bytes and b" aaa" not in one_by_one[-1].vocabulary.token_bytes


def test_documents_that_are_all_empty_are_taken_for_a_mistake(monkeypatch):
    monkeypatch.setattr(text_stream, "EMPTY_AT_MOST", 3)
    assert stream_of([b"", b"", b"a"]).sample() is not None
    with pytest.raises(SourceError, match=r"2: 3 documents in a row are empty; is data\.field right"):
        stream_of([b""] * 4).sample()
