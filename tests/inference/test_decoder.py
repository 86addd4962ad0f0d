"""Decoding symbol by symbol computes what the full forward pass computes."""

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexitok.inference import decoder as decoder_file
from lexitok.inference.decoder import ContextError, Decoder

S = 128
CHUNK = 8
TEXTS = (
    "Pack my box, with Größe 🌝 and 12 jugs… 世界 naïve\n\tdef f(x): return x".encode(),
    b"",
    b"1234567890123 12345, the 3.14 in a1b2",
    "aVeryLongWordWithoutAnyBreak_that_goes_on e\u0301\u0301\u0301 \r\n  x".encode(),
)


def symbols_of(encoder, text):
    """The symbols of a whole document that are read."""
    document = encoder.encode(text)
    return [document.bos, *document.symbols[:-1].tolist()]


def cached(model, encoder, rows, portions):
    """Logits behind each symbol of each row; `portions[i]` are the cuts between the parts that row `i` is read in."""
    decoder = Decoder(model, encoder, len(rows), S, chunk=CHUNK)
    found = [np.zeros((len(row), decoder.logits_BxV.shape[1]), np.float32) for row in rows]
    read_out = jax.jit(lambda model, hidden: model.interface.logits(hidden))
    parts = [np.split(row, cuts) for row, cuts in zip(rows, portions, strict=True)]
    for i in range(max(map(len, parts))):
        news = [part[i].tolist() if i < len(part) else [] for part in parts]
        for call, hidden in decoder.calls(news):
            logits = np.asarray(read_out(model, hidden))
            for row, t in np.argwhere(call.reads_BxTx5[..., 1] >= 0):
                found[row][call.reads_BxTx5[row, t, 1]] = logits[row, t]
        last = np.asarray(decoder.logits_BxV)
        for row, new in enumerate(news):
            if new:
                np.testing.assert_allclose(last[row], found[row][decoder.rows[row].length - 1], atol=1e-5)
    return found


def cuts(rng, length):
    """Cuts of a row into parts: some long, some of one symbol, some empty."""
    return np.sort(rng.integers(0, length + 1, rng.integers(0, length + 4)))


def assert_cached_equals_full(model, encoder, full_logits, texts, seed):
    rng = np.random.default_rng(seed)
    rows = [symbols_of(encoder, text) for text in texts]
    found = cached(model, encoder, rows, [cuts(rng, len(row)) for row in rows])
    for row, ours, text in zip(rows, found, texts, strict=True):
        expected = full_logits(model, encoder, row)
        assert np.ptp(expected) > 5  # the model tells symbols apart
        # Medians are 1e-5 and below; a guide near zero, which is then normalised, makes some positions ill-conditioned.
        np.testing.assert_allclose(ours, expected, atol=3e-4, rtol=3e-4, err_msg=repr(text))


@pytest.mark.parametrize("seed", [0, 1])
def test_cached_equals_full(make_small, full_logits, kind, seed):
    """The caches, the rings and the units closed on the way must change nothing, however the text is handed over."""
    assert_cached_equals_full(*make_small(kind), full_logits, TEXTS, seed)


SCRIPTS = st.text(
    st.sampled_from(list("abXY12 .,'\n\t-é") + list("世界ก็มकि한글אבע") + ["\u0301", "\u200d", "🌝", "🇩", "\u2028"]),
    max_size=20,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(SCRIPTS, min_size=4, max_size=4), seed=st.integers(0, 99))
def test_cached_equals_full_in_any_script(make_small, full_logits, kind, texts, seed):
    """Splitters lag differently in each script, and the decoder has to close the same units at the same bytes."""
    assert_cached_equals_full(*make_small(kind), full_logits, [text.encode() for text in texts], seed)


@pytest.mark.parametrize("kind", ["bytes", "hat_v2", "hat_v1"])
def test_any_bytes(make_small, full_logits, kind):
    """Text that is not UTF-8 has units too, so it must decode like any other."""
    rng = np.random.default_rng(0)
    assert_cached_equals_full(*make_small(kind), full_logits, [rng.bytes(n) for n in (40, 3, 17, 1)], 0)


def test_rows_do_not_depend_on_their_neighbours(make_small, kind):
    """What a prompt gets must not change with what else happens to be in the batch."""
    model, encoder = make_small(kind)
    symbols = symbols_of(encoder, TEXTS[0])
    halves = [[len(symbols) // 2]]
    alone = cached(model, encoder, [symbols, [], [], []], [*halves, [], [], []])[0]
    others = [symbols_of(encoder, text) for text in (TEXTS[2], TEXTS[3], TEXTS[0])]
    among = cached(model, encoder, [symbols, *others], [*halves, [3, 4, 5], [], list(range(30))])[0]
    np.testing.assert_allclose(among, alone, atol=1e-5, rtol=1e-5)


def test_shapes_are_few(make_small, kind):
    """Nothing is compiled anew as a text grows: a chunk, a symbol, a symbol that completes a unit."""
    model, encoder = make_small(kind)
    rows = [symbols_of(encoder, text) for text in TEXTS]
    before = decoder_file.extend._cache_size()
    decoder = Decoder(model, encoder, len(rows), S, chunk=CHUNK)
    decoder.read([row[:20] for row in rows])
    for i in range(20, max(map(len, rows))):
        decoder.read([row[i : i + 1] for row in rows])
    assert decoder_file.extend._cache_size() - before <= 3


def test_no_room(make_small):
    """A row that outgrows its caches must be refused before any of it is read, with the numbers."""
    model, encoder = make_small("bytes")
    decoder = Decoder(model, encoder, 2, 100, chunk=CHUNK)
    with pytest.raises(ContextError, match="row 1 .* 129 more, but there is room for 128"):
        decoder.read([[0], [0] * 129])
    assert decoder.rows[0].length == 0


def test_parts_that_do_not_go_together(make_small):
    """A wrong pair of model and encoder must be named before anything is computed."""
    with pytest.raises(ValueError, match="TokenLM cannot read an encoder of kind 'byte_units'"):
        Decoder(make_small("bytes")[0], make_small("hat_v2")[1], 1, 10)
    with pytest.raises(ValueError, match="under boundary 'lagged'"):
        Decoder(make_small("hat_v1")[0], make_small("hat_v2")[1], 1, 10)
    with pytest.raises(ValueError, match="267 symbols, the model only 260"):
        Decoder(make_small("bytes")[0], make_small("subword")[1], 1, 10)
