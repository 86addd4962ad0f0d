"""Encoders: any bytes in, the same bytes out, and a stream that the layout understands."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.config import default_config
from lexitok.data.encoders import make_encoder, make_tokenizer, needs_tokenizer, unit_tokens
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
    columns = (document.nbytes, document.unit_ends, document.closed, document.predicted)
    assert {len(column) for column in columns} == {len(document)}
    assert document.symbols.max() < encoder.vocabulary.size
    assert document.predicted[document.nbytes > 0].all() and document.predicted[-1]


@settings(deadline=None)
@given(data=texts)
def test_rules_write_down_one_segmentation(encoders, data):
    """The boundary rules are ways to write down the same units, as the same raw bytes."""
    ends = encoders["lagged"].splitter.split(data).ends()
    for name in ("lagged", "end_symbol", "slots", "fused"):
        document = encoders[name].encode(data)
        read = np.cumsum(document.nbytes)
        found = read[document.unit_ends]  # raw bytes up to the end of each unit
        assert found.tolist() == [*ends.tolist(), len(data)]


def test_end_symbols_by_hand(encoders):
    """A unit is read, closed by its symbol, and only then seen."""
    encoder = encoders["end_symbol"]
    document = encoder.encode(b"a b")
    piece = make_piece(document, 0, len(document))
    end = encoder.rule.end_of_unit
    assert len(encoder.splitter.split(b"a b").ends()) == document.symbols.tolist().count(end)
    assert piece.units == document.symbols.tolist().count(end) + 1  # the last one is opened to predict `eot`
    after = np.flatnonzero(piece.symbols == end)
    assert (piece.guide_of[after] == piece.guide_of[after - 1] + 1).all()


def test_alphabet_in_bytes_refuses_invalid_utf8():
    """Its specials live in such bytes; the message names document and offset."""
    text = default_config().text
    text.alphabet = "in_bytes"
    for boundary in ("lagged", "end_symbol", "revealed"):
        text.boundary = boundary
        encoder = make_encoder(text)
        assert encoder.vocabulary.size == 256
        assert encoder.decode(encoder.encode("Sch\u00f6n \u96ea".encode()).symbols).decode() == "Sch\u00f6n \u96ea"
        with pytest.raises(InvalidUtf8Error, match=r"a/b\.txt: not valid UTF-8 at byte 3"):
            encoder.encode(b"abc\xffd", "a/b.txt")


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "words"), ("alphabet", "ascii"), ("boundary", "model"), ("splitter", "spaces")]
)
def test_unknown_settings_say_what_there_is(field, value):
    """A typing mistake in a config costs a line, not a run."""
    text = default_config().text
    text[field] = value
    with pytest.raises(ValueError, match=f"{value}'.*there are:? "):
        make_encoder(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "subword"}, "need a tokenizer; make_tokenizer makes one"),
        ({"splitter": "tokens", "boundary": "fused"}, "need a tokenizer"),
        ({"slots": 0}, "slots is 0"),
        ({"slots": 2}, "slots is 2; .* but for text.boundary 'end_symbol'"),
        ({"slots": 2, "boundary": "revealed"}, "slots is 2"),
        ({"splitter": "model"}, "'model' needs text.boundary 'revealed', not 'lagged'"),
        ({"splitter": "model", "boundary": "fused"}, "not 'fused'"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    """Each would make streams that no model can learn from, or decode."""
    text = default_config().text
    text.update(settings)
    with pytest.raises(ValueError, match=message):
        make_encoder(text)


@pytest.mark.parametrize("boundary", ["lagged", "revealed"])
def test_tokens_need_a_rule_that_says_where_units_end(encoders, boundary):
    """A tokenizer looks ahead: at no byte of a text that goes on is it known where its units are."""
    text = default_config().text
    text.splitter, text.boundary = "tokens", boundary
    with pytest.raises(ValueError, match=f"'tokens' looks ahead: it needs text.boundary .* not '{boundary}'"):
        make_encoder(text, encoders["subword"].tokenizer)


@pytest.mark.parametrize("boundary", ["fused", "end_symbol"])
def test_units_that_are_tokens(encoders, boundary):
    """Units are what the tokenizer makes of the text, and embeddings get to know them."""
    text, tokenizer = default_config().text, encoders["subword"].tokenizer
    text.splitter, text.boundary = "tokens", boundary
    encoder = make_encoder(text, tokenizer)
    data = b"The cat and other things\n"
    document = encoder.encode(data)
    ends = np.cumsum(document.nbytes)[document.unit_ends]
    assert ends[:-1].tolist() == np.cumsum(tokenizer.encode(data).nbytes).tolist() and len(ends) < len(data)
    assert unit_tokens(encoder) == tokenizer.vocabulary.token_bytes
    assert unit_tokens(encoders["fused"]) == unit_tokens(encoders["bytes"]) == ()
    assert needs_tokenizer(text)


@settings(deadline=None)
@given(data=texts)
def test_every_byte_is_there_twice_under_fused(encoders, data):
    """With and without an end of unit behind it, in one alphabet that decodes to the same bytes."""
    encoder = encoders["fused"]
    alphabet, document = encoder.alphabet, encoder.encode(data)
    assert encoder.vocabulary.size == alphabet.size == 2 * alphabet.fused
    plain = [alphabet.plain(symbol) for symbol in document.symbols.tolist()]
    assert bytes(plain[:-1]) == alphabet.decode(document.symbols.tolist()) == data
    flagged = document.symbols >= alphabet.fused
    assert flagged[:-1].tolist() == document.unit_ends[:-1].tolist() and not flagged[-1]
    assert encoder.rule.end_of_unit is None


def test_fused_in_bytes():
    """The doubled alphabet of 256 has 512 symbols, of which the specials are none that are written."""
    text = default_config().text
    text.alphabet, text.boundary = "in_bytes", "fused"
    encoder = make_encoder(text)
    data = "Größe 12".encode()
    assert encoder.vocabulary.size == 512 and encoder.decode(encoder.encode(data).symbols) == data
    lengths = encoder.vocabulary.lengths
    assert lengths.sum() == 2 * (256 - 4) and (lengths[:256] == lengths[256:]).all()


def test_the_model_finds_units(encoders):
    """The stream is that of a byte model, but a batch has room for units."""
    encoder, data = encoders["model"], b"some text"
    document, plain = encoder.encode(data), encoders["bytes"].encode(data)
    assert encoder.splitter is None and document.boundary == encoder.boundary == "model"
    assert document.symbols.tolist() == plain.symbols.tolist()


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
