"""Encoders: any bytes in, the same bytes out, and a stream that the layout understands."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.config import default_config
from lexitok.data.encoders import make_encoder, make_tokenizer
from lexitok.data.layout import make_piece
from lexitok.text.alphabet import InvalidUtf8Error

texts = st.one_of(st.binary(max_size=40), st.text(max_size=30).map(lambda s: s.encode("utf-8", "surrogatepass")))


@settings(deadline=None)
@given(data=texts)
def test_bytes_come_back_and_are_counted(encoder, data):
    """Every byte is in the stream once: the sum over it is the length of the raw document."""
    document, lossy = encoder.measure(data)
    assert not lossy
    assert encoder.decode(document.symbols) == data
    assert document.nbytes.sum() == len(data)
    assert document.symbols[-1] == encoder.vocabulary.eot and document.nbytes[-1] == 0
    assert document.symbols.dtype == document.nbytes.dtype == document.closed.dtype == np.int32
    assert len({len(x) for x in (document.symbols, document.nbytes, document.unit_ends, document.closed)}) == 1
    assert document.symbols.max() < encoder.vocabulary.size


@settings(deadline=None)
@given(data=texts)
def test_units_are_those_of_the_splitter(encoders, data):
    """The two boundary rules are two ways to write down one segmentation."""
    lagged, end_symbol = encoders["lagged"].encode(data), encoders["end_symbol"].encode(data)
    segmentation = encoders["lagged"].splitter.split(data)
    ends = segmentation.ends()
    assert np.flatnonzero(lagged.unit_ends).tolist() == [*(ends - 1).tolist(), len(data)]
    assert lagged.closed[:-1].tolist() == segmentation.closed.tolist()
    closing = np.flatnonzero(end_symbol.symbols == encoders["end_symbol"].end_of_unit)
    assert closing.tolist() == [end + k for k, end in enumerate(ends.tolist())]
    assert (end_symbol.nbytes[closing] == 0).all()
    assert end_symbol.closed[closing].tolist() == list(range(1, len(ends) + 1))
    assert np.flatnonzero(end_symbol.unit_ends).tolist() == [*closing.tolist(), len(end_symbol) - 1]


def test_end_symbols_by_hand(encoders):
    """A unit is read, closed by its symbol, and only then seen."""
    encoder = encoders["end_symbol"]
    document = encoder.encode(b"a b")
    piece = make_piece(document, 0, len(document))
    end = encoder.end_of_unit
    assert len(encoder.splitter.split(b"a b").ends()) == document.symbols.tolist().count(end)
    assert piece.units == document.symbols.tolist().count(end) + 1  # the last one is opened to predict `eot`
    after = np.flatnonzero(piece.symbols == end)
    assert (piece.guide_of[after] == piece.guide_of[after - 1] + 1).all()


def test_alphabet_in_bytes_refuses_invalid_utf8():
    """Its specials live in such bytes; the message names document and offset."""
    text = default_config().text
    text.alphabet = "in_bytes"
    for boundary in ("lagged", "end_symbol"):
        text.boundary = boundary
        encoder = make_encoder(text)
        assert encoder.vocabulary.size == 256
        assert encoder.decode(encoder.encode("Sch\u00f6n \u96ea".encode()).symbols).decode() == "Sch\u00f6n \u96ea"
        with pytest.raises(InvalidUtf8Error, match=r"a/b\.txt: not valid UTF-8 at byte 3"):
            encoder.encode(b"abc\xffd", "a/b.txt")


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "words"), ("alphabet", "ascii"), ("boundary", "fused"), ("splitter", "spaces")]
)
def test_unknown_settings_say_what_there_is(field, value):
    """A typing mistake in a config costs a line, not a run."""
    text = default_config().text
    text[field] = value
    with pytest.raises(ValueError, match=f"{value}'.*there are:? "):
        make_encoder(text)


def test_subword_needs_a_tokenizer():
    """Training one is an explicit act, since it reads the text."""
    text = default_config().text
    text.kind = "subword"
    with pytest.raises(ValueError, match="needs a tokenizer"):
        make_encoder(text)


def test_make_tokenizer_trains_on_the_first_bytes_or_loads(tmp_path):
    """The two ways to a vocabulary; and no more is read for it than the config says."""
    settings = default_config().text.vocabulary
    settings.size, settings.train_bytes = 290, 60
    read = []

    def documents():
        for data in (b"some words " * 4, b"and others " * 4, b"never read"):
            read.append(data)
            yield data

    trained = make_tokenizer(settings, documents())
    assert len(read) == 2
    path = tmp_path / "v.model"
    path.write_bytes(trained.to_bytes())
    loaded = copy.deepcopy(settings)
    loaded.path = str(path)
    assert make_tokenizer(loaded, iter(())).vocabulary == trained.vocabulary
