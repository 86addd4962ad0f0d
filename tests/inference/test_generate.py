"""`generate` against a loop that runs the full forward pass anew for every symbol."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import LONGEST, slow, slow_if

from lexitok.inference import drawing, stream
from lexitok.inference.decoder import ContextError, Decoder
from lexitok.inference.generate import generate
from lexitok.inference.prompts import prompt_symbols, unfinished
from lexitok.inference.sampling import Sampling, draw, row_keys, step_keys
from lexitok.text.alphabet import InvalidUtf8Error
from lexitok.text.boundaries import EMPTY_UNIT, FULL_UNIT, OPEN_UNIT

CHUNK = 8
OTHERS = ("bytes", "subword", "hat_v1", "learn_your_tokens", "blt", "hnet_two", "bolmo")
PROMPTS = ("Größe wo".encode(), b"", "né 世界".encode()[:-1], b"12345 a")  # in mid-word, empty, in mid-character


def open_unit(encoder, symbols):
    """The row of `BoundaryRule.allowed_next` that holds for what follows these symbols, worked out from them alone."""
    if encoder.boundary not in ("end_symbol", "fused"):
        return EMPTY_UNIT
    fused = encoder.boundary == "fused"
    ends = [
        s == symbols[0] or (s >= encoder.alphabet.fused if fused else s == encoder.rule.end_of_unit) for s in symbols
    ]
    size = ends[::-1].index(True)
    return EMPTY_UNIT if size == 0 else FULL_UNIT if size >= LONGEST - fused else OPEN_UNIT


def by_full_forward(model, encoder, full_logits, max_bytes, sampling, seed):
    """The bytes that `generate` should draw for each prompt."""
    rows = [prompt_symbols(encoder, prompt) for prompt in PROMPTS]
    new = [[] for _ in rows]
    going = set(range(len(rows)))
    allowed, keys, step = (
        encoder.rule.allowed_next(encoder.vocabulary, encoder.vocabulary.size),
        row_keys(seed, len(rows)),
        0,
    )
    while going:
        logits = jnp.asarray(np.stack([row[-1] for row in full_logits(model, encoder, rows)]))
        may = jnp.asarray(allowed[[open_unit(encoder, row) for row in rows]])
        drawn = draw(logits, may, step_keys(keys, jnp.full(len(rows), step, jnp.int32)), sampling).tolist()
        for row in sorted(going):
            if drawn[row] == encoder.vocabulary.eot:
                going.remove(row)
                continue
            rows[row].append(drawn[row])
            new[row].append(drawn[row])
            if len(encoder.decode(new[row])) >= max_bytes:
                going.remove(row)
        step += 1
    return [encoder.decode(symbols)[:max_bytes] for symbols in new]


@pytest.mark.parametrize(
    ("few", "settings"),
    [
        ("hat_v2", {"temperature": 0.9, "top_k": 40, "top_p": 0.95}),
        *slow(*((kind, {"temperature": 0.9, "top_k": 40, "top_p": 0.95}) for kind in OTHERS)),
        *slow(*((kind, {"temperature": 0.0}) for kind in ("hat_v2", *OTHERS))),
    ],
)
def test_same_as_uncached(make_small, full_logits, few, settings):
    """Every byte must be the one that the model without caches draws with the same keys."""
    model, encoder = make_small(few)
    texts = generate(model, encoder, PROMPTS, max_bytes=12, seed=7, chunk=CHUNK, **settings)
    assert texts == by_full_forward(model, encoder, full_logits, 12, Sampling(**settings), 7)
    assert any(texts)


@pytest.mark.parametrize("few", slow_if(lambda kind: kind != "hat_v2", ("hat_v2", *OTHERS)))
def test_neighbours_and_seeds(make_small, few):
    """A prompt's text depends on the seed and its place, not on the other prompts."""
    model, encoder = make_small(few)
    settings = {"max_bytes": 10, "chunk": CHUNK}
    texts = generate(model, encoder, PROMPTS, **settings)
    others = generate(model, encoder, [PROMPTS[0], b"xyz" * 3, b"", b"q"], **settings)
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


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bytes", "7 positions and with max_bytes=20 may grow to 27, but the context is 26"),
        ("hat_v1", "8 positions and with max_bytes=20 may grow to 48"),  # a symbol behind each byte
        ("learn_your_tokens", "14 positions and with max_bytes=20 may grow to 114"),  # and three further slots
    ],
)
def test_context(make_small, kind, message):
    """What might outgrow the context is refused beforehand, with the numbers; nothing is cut silently."""
    model, encoder = make_small(kind)
    with pytest.raises(ContextError, match=message):
        generate(model, encoder, [b"", b"ab cde"], max_bytes=20, context=26)


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


@pytest.mark.parametrize("kind", ["hat_v1_in_bytes", "learn_your_tokens"])
def test_units_of_prompts(make_small, kind):
    """Under `end_symbol`, the units of a prompt are closed but for the last, which the model may go on with. Further
    slots are no symbols: whoever reads the prompt adds them."""
    _, encoder = make_small(kind)
    end, bos = encoder.rule.end_of_unit, encoder.vocabulary.bos
    symbols = prompt_symbols(encoder, b"ab cde")
    assert symbols[0] == bos and symbols[-1] == ord("e") and symbols.count(end) == 1
    assert encoder.decode(symbols) == b"ab cde"
    assert prompt_symbols(encoder, b"") == [bos]


def test_fused_units_of_prompts(make_small):
    """Under `fused`, a prompt's bytes say where units end; the last one is open, unless it can hold no more."""
    _, encoder = make_small("bolmo")
    fused = encoder.alphabet.fused
    *_, before, last = prompt_symbols(encoder, b"x box")  # `x`, ` box`
    assert (before, last) == (ord("o"), ord("x"))
    assert prompt_symbols(encoder, b"x box")[1] == ord("x") + fused
    assert encoder.decode(prompt_symbols(encoder, b"x box")) == b"x box"
    _, encoder = make_small("hat_v2_fused")
    assert prompt_symbols(encoder, b"x" * LONGEST)[-1] == ord("x") + fused
    assert prompt_symbols(encoder, b"x" * (LONGEST - 1))[-1] == ord("x")


def test_prompts_in_mid_character(make_small):
    """An alphabet that refuses what is not UTF-8 still takes a character whose rest the model is to write."""
    _, encoder = make_small("hat_v1_in_bytes")
    assert encoder.decode(prompt_symbols(encoder, "a🌝".encode()[:-2])) == "a🌝".encode()[:-2]
    for wrong in (b"a\xff", b"a\xed\xa0"):  # the second would be the beginning of a surrogate
        with pytest.raises(InvalidUtf8Error, match="prompt: not valid UTF-8 at byte 1"):
            prompt_symbols(encoder, wrong)


def test_beginnings_of_characters():
    """Against Python's decoder: bytes are the beginning of a character if some continuation makes them one."""
    rests = [b"", b"\x80", b"\xa0", b"\x80\x80", b"\xa0\x80", b"\x90\x80\x80", b"\x80\x80\x80"]

    def completable(data):
        for rest in rests[1:]:
            try:
                if len((data + rest).decode()) == 1:
                    return True
            except UnicodeDecodeError:
                pass
        return False

    leads = [bytes([b]) for b in range(256)]
    seconds = [bytes([b]) for b in (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC3, 0xF0, 0xFF)]
    for lead in leads:
        for data in (lead, *(lead + s for s in seconds), *(lead + s + t for s in seconds for t in seconds)):
            longest = next((n for n in (3, 2, 1) if n <= len(data) and completable(data[-n:])), 0)
            assert unfinished(data) == unfinished(b"\x9c\xe2a" + data) == longest, data


def test_what_may_be_drawn(make_small):
    """Specials but `eot` are never drawn."""
    _, lagged = make_small("hat_v2")
    v = lagged.vocabulary
    allowed = lagged.rule.allowed_next(lagged.vocabulary, 264)
    assert np.flatnonzero(allowed[EMPTY_UNIT]).tolist() == [*range(256), v.eot]


def test_what_may_be_drawn_behind_a_unit(make_small):
    """Under `end_symbol`, units are neither empty nor too long, and the document ends between units."""
    _, closing = make_small("hat_v1_in_bytes")
    allowed = closing.rule.allowed_next(closing.vocabulary, 256)
    end, eot = closing.rule.end_of_unit, closing.vocabulary.eot
    assert allowed[EMPTY_UNIT, [end, eot]].tolist() == [False, True]
    assert allowed[OPEN_UNIT, [end, eot]].tolist() == [True, False]
    assert np.flatnonzero(allowed[FULL_UNIT]).tolist() == [end]


def test_what_may_be_drawn_with_an_end_of_unit(make_small):
    """Under `fused`, each byte is there with and without an end of its unit, and the last of a full one only with."""
    _, fused = make_small("bolmo")
    V = fused.vocabulary.size
    allowed, twice = fused.rule.allowed_next(fused.vocabulary, V), fused.alphabet.fused
    both = [*range(256), *range(twice, twice + 256)]
    assert np.flatnonzero(allowed[OPEN_UNIT]).tolist() == both
    assert np.flatnonzero(allowed[EMPTY_UNIT]).tolist() == sorted([*both, fused.vocabulary.eot])
    assert np.flatnonzero(allowed[FULL_UNIT]).tolist() == both[256:]


@pytest.mark.parametrize("kind", ["hat_v1", pytest.param("bolmo", marks=pytest.mark.slow)])
def test_units_that_are_written_are_not_too_long(make_small, kind, monkeypatch):
    """A unit beyond the splitter's longest is none that the model was trained on, whatever its prompt ended with."""
    model, encoder = make_small(kind)
    read = [[] for _ in range(4)]

    class Recorded(Decoder):
        def read(self, symbols):
            for row, new in zip(read, symbols, strict=True):
                row.extend(new)
            super().read(symbols)

    monkeypatch.setattr(stream, "Decoder", Recorded)
    end = np.arange(encoder.vocabulary.size)
    end = end == encoder.rule.end_of_unit if kind == "hat_v1" else end >= encoder.alphabet.fused
    unlikely = jnp.where(jnp.asarray(end), 99.0, 0.0)[None]
    monkeypatch.setattr(drawing, "draw", lambda logits, *rest: draw(logits - unlikely, *rest))
    generate(model, encoder, [b"x" * LONGEST, b"x" * (LONGEST - 1), b"x", b""], max_bytes=16, chunk=CHUNK)
    for symbols in read:
        sizes = np.diff(np.append(0, np.flatnonzero(end[symbols]))) - (kind == "hat_v1")  # the end symbol is no byte
        assert sizes.size and sizes.max() == LONGEST
