"""`generate` against a loop that runs the full forward pass anew for every symbol."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.inference.decoder import ContextError
from lexitok.inference.generate import EMPTY_UNIT, FULL_UNIT, OPEN_UNIT, allowed_symbols, generate
from lexitok.inference.prompts import prompt_symbols
from lexitok.inference.sampling import Sampling, draw, row_keys, step_keys
from lexitok.text.alphabet import InvalidUtf8Error

LONGEST = 12  # bytes of a unit of the small models
CHUNK = 8
PROMPTS = (
    "Größe 12 wor".encode(),
    b"",
    "the naïve 世界".encode()[:-1],
    b"12345 a",
)  # in mid-word, empty, in mid-character


def by_full_forward(model, encoder, full_logits, prompt, row, steps, sampling, seed):
    """The symbols that `generate` should draw for a prompt, and the bytes that they stand for."""
    symbols = prompt_symbols(encoder, prompt)
    allowed = allowed_symbols(encoder, encoder.vocabulary.size)
    key = row_keys(seed, row + 1)[row:]
    new = []
    for step in range(steps):
        kind = EMPTY_UNIT
        if encoder.end_of_unit is not None:
            back = symbols[::-1]
            size = next(i for i, s in enumerate(back) if s in (encoder.end_of_unit, symbols[0]))
            kind = EMPTY_UNIT if size == 0 else FULL_UNIT if size == LONGEST else OPEN_UNIT
        logits = jnp.asarray(full_logits(model, encoder, symbols)[-1:])
        keys = step_keys(key, jnp.asarray([step], jnp.int32))
        drawn = int(draw(logits, jnp.asarray(allowed[kind][None]), keys, sampling)[0])
        if drawn == encoder.vocabulary.eot:
            break
        symbols.append(drawn)
        new.append(drawn)
    return encoder.decode(new)


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"temperature": 0.9, "top_k": 40, "top_p": 0.95}])
def test_same_as_uncached(make_small, full_logits, kind, settings):
    """Every byte must be the one that the model without caches draws with the same keys."""
    model, encoder = make_small(kind)
    steps = 16
    texts = generate(model, encoder, PROMPTS, max_bytes=steps, seed=7, chunk=CHUNK, **settings)
    for row, (prompt, text) in enumerate(zip(PROMPTS, texts, strict=True)):
        expected = by_full_forward(model, encoder, full_logits, prompt, row, steps, Sampling(**settings), 7)
        if encoder.end_of_unit is None:
            assert text == expected[:steps]
        else:  # symbols without bytes are steps, too
            assert text.startswith(expected) and len(expected) >= min(len(text), steps // 2)


def test_neighbours_and_seeds(make_small):
    """A prompt's text depends on the seed and its place, not on the other prompts."""
    model, encoder = make_small("hat_v2")
    settings = {"max_bytes": 12, "chunk": CHUNK}
    texts = generate(model, encoder, PROMPTS, **settings)
    others = generate(model, encoder, [PROMPTS[0], b"xyz" * 9, b"", b"q"], **settings)
    assert texts[0] == others[0]
    assert texts != generate(model, encoder, PROMPTS, seed=1, **settings)
    assert len(set(generate(model, encoder, [b"same"] * 4, **settings))) > 1


def test_stop_and_end_of_document(make_small):
    """A stop string is cut off with what follows it; `eot` ends a text without a byte."""
    model, encoder = make_small("bytes")
    whole = generate(model, encoder, PROMPTS, max_bytes=20, chunk=CHUNK)
    stops = [text[4:6] for text in whole if len(text) > 6]
    assert stops
    for text, cut in zip(whole, generate(model, encoder, PROMPTS, max_bytes=20, stop=stops, chunk=CHUNK), strict=True):
        found = [at for stop in stops if (at := text.find(stop)) >= 0]
        assert cut == (text[: min(found)] if found else text)


def test_context(make_small):
    """What might outgrow the context is refused beforehand, with the numbers; nothing is cut silently."""
    model, encoder = make_small("hat_v1")
    with pytest.raises(ContextError, match="8 symbols and with max_bytes=20 may grow to 48, but the context is 40"):
        generate(model, encoder, [b"", b"ab cdef"[:6]], max_bytes=20, context=40)


def test_nothing_to_do(make_small):
    """No prompts, or no bytes asked for."""
    model, encoder = make_small("bytes")
    assert generate(model, encoder, [], max_bytes=5) == []
    assert generate(model, encoder, [b"a", b""], max_bytes=0) == [b"", b""]


def test_diverged_model(make_small):
    """Parameters that are not finite must not pass for a text."""
    model, encoder = make_small("bytes")
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, model)
    with pytest.raises(FloatingPointError, match="row 0.* 2 symbols are not finite"):
        generate(broken, encoder, [b"a", b"", b"", b""], max_bytes=3, chunk=CHUNK)


def test_units_of_prompts(make_small):
    """Under `end_symbol`, the units of a prompt are closed but for the last, which the model may go on with."""
    _, encoder = make_small("hat_v1_in_bytes")
    end, bos = encoder.end_of_unit, encoder.vocabulary.bos
    symbols = prompt_symbols(encoder, b"ab cde")
    assert symbols[0] == bos and symbols[-1] == ord("e") and symbols.count(end) == 1
    assert encoder.decode(symbols) == b"ab cde"
    assert prompt_symbols(encoder, b"") == [bos]


def test_prompts_in_mid_character(make_small):
    """An alphabet that refuses what is not UTF-8 still takes a character whose rest the model is to write."""
    _, encoder = make_small("hat_v1_in_bytes")
    assert encoder.decode(prompt_symbols(encoder, "a🌝".encode()[:-2])) == "a🌝".encode()[:-2]
    with pytest.raises(InvalidUtf8Error, match="prompt: not valid UTF-8 at byte 1"):
        prompt_symbols(encoder, b"a\xff")


def test_what_may_be_drawn(make_small):
    """Specials but `eot` are never drawn, and under `end_symbol` units are neither empty nor too long."""
    _, lagged = make_small("hat_v2")
    v = lagged.vocabulary
    allowed = allowed_symbols(lagged, 264)
    assert np.flatnonzero(allowed[EMPTY_UNIT]).tolist() == [*range(256), v.eot]
    _, closing = make_small("hat_v1_in_bytes")
    allowed = allowed_symbols(closing, 256)
    end, eot = closing.end_of_unit, closing.vocabulary.eot
    assert allowed[EMPTY_UNIT, [end, eot]].tolist() == [False, True]
    assert allowed[OPEN_UNIT, [end, eot]].tolist() == [True, False]
    assert np.flatnonzero(allowed[FULL_UNIT]).tolist() == [end]
