"""Texts given out piece by piece."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lexitok.inference.decoder import ContextError
from lexitok.inference.generate import generate
from lexitok.inference.stops import Text
from lexitok.inference.stream import Outgoing, stream
from lexitok.text.alphabet import InvalidUtf8Error

PROMPTS = ("Größe wo".encode(), b"", "né 世界".encode()[:-1], b"12345 a")
SETTINGS = {"max_bytes": 12, "chunk": 8}

texts = st.text(st.sampled_from("abé世🌝\n"), max_size=20)
groupings = st.lists(st.integers(0, 60), max_size=12)


def pieces_of(data, limit, stops, cuts, prompt=b""):
    """What is given out after each symbol, the bytes of `data` being grouped into symbols by `cuts`; and the text."""
    out, pieces = Outgoing(Text(limit, stops), prompt), []
    for a, b in itertools.pairwise([0, *sorted(cuts), len(data)]):
        out.text.add(data[a:b])
        pieces.append(out.take())
    out.text.end()
    return [*pieces, out.take()], out.text.data


stop_strings = st.lists(texts.filter(bool).map(str.encode) | st.binary(min_size=1, max_size=3), max_size=3)


@given(st.binary(max_size=20) | texts.map(str.encode), stop_strings, st.integers(0, 60), groupings)
def test_pieces_make_the_text(data, stops, limit, cuts):
    """Nothing is lost or given out twice, and nothing of a stop string is ever given out."""
    pieces, text = pieces_of(data, limit, stops, cuts)
    assert b"".join(pieces) == text
    so_far = b""
    for piece in pieces:
        so_far += piece
        assert text.startswith(so_far) and not any(stop in so_far for stop in stops)


@given(texts, st.lists(texts.filter(bool).map(str.encode), max_size=3), groupings)
def test_pieces_of_text_are_text(text, stops, cuts):
    """Each can be shown as it comes: no piece ends inside of a character, whatever the symbols are."""
    pieces, _ = pieces_of(text.encode(), 999, stops, cuts)
    assert all(piece.decode() in text for piece in pieces)


@given(texts, texts.filter(bool), st.integers(1, 3), groupings)
@example("a", "🌝", 1, [1, 2])
def test_a_character_that_the_prompt_began(before, rest, cut, cuts):
    """The first piece begins with the rest of that character, all of it."""
    whole = (before + rest).encode()
    cut = min(cut, len(rest[0].encode()) - 1)
    prompt = whole[: len(before.encode()) + cut]
    pieces, _ = pieces_of(whole[len(prompt) :], 999, (), cuts, prompt)
    so_far = prompt
    for piece in filter(None, pieces):
        so_far += piece
        so_far.decode()
    assert so_far == whole


@pytest.mark.parametrize(
    ("symbols", "pieces"),
    [
        ([b"a", b"\xe4", b"\xb8", b"\x96", b"b"], [b"a", b"", b"", b"\xe4\xb8\x96", b"b"]),
        ([b"\xff", b"a"], [b"\xff", b"a"]),  # no character begins like this
        ([b"\xe4", b"a"], [b"", b"\xe4a"]),  # it could have been one
        ([b"\xe4", b"\xf0\x9f", b"\x8c", b"\x9d"], [b"", b"\xe4", b"", b"\xf0\x9f\x8c\x9d"]),
        ([b"\xed", b"\xa0", b"\x80"], [b"", b"\xed\xa0", b"\x80"]),  # a surrogate is no character
        ([b"one", b"\n", b"two", b"\n", b"\n"], [b"one", b"", b"\ntwo", b"", b""]),
        ([b"one\n", b"\n"], [b"one", b""]),
        ([b"x\xc3", b"\xa9y"], [b"x", "éy".encode()]),
    ],
)
def test_no_byte_is_kept_longer_than_needed(symbols, pieces):
    """Written out: what a reader sees after each symbol, with a blank line as the stop string."""
    out = Outgoing(Text(99, [b"\n\n"]))
    found = []
    for symbol in symbols:
        out.text.add(symbol)
        found.append(out.take())
    assert found == pieces


def test_what_is_left_at_the_end_is_given_out():
    """Half a character, or of a stop string, is text too when nothing follows."""
    out = Outgoing(Text(99, [b"\n\n"]))
    out.text.add(b"a\xe4")
    assert out.take() == b"a"
    out.text.end()
    assert out.take() == b"\xe4" and out.take() == b""
    out = Outgoing(Text(2, [b"\n\n\n"]))
    out.text.add(b"\n\n")  # the length is reached: no third one can follow
    assert out.take() == b"\n\n"


@pytest.mark.parametrize("kind", ["subword", "hat_v1"])
def test_joined_pieces_are_what_generate_gives(make_small, kind):
    """One text a prompt, however it is asked for; rows of a batch give out their pieces in turn."""
    model, encoder = make_small(kind)
    whole = generate(model, encoder, PROMPTS, seed=3, **SETTINGS)
    stops = [whole[0][5:7]]
    for stop in ((), stops):
        pieces = list(stream(model, encoder, PROMPTS, seed=3, stop=stop, **SETTINGS))
        joined = [b"".join(new for row, new in pieces if row == i) for i in range(4)]
        assert joined == generate(model, encoder, PROMPTS, seed=3, stop=stop, **SETTINGS)
        assert all(new for _, new in pieces)
        rows = [row for row, _ in pieces]
        assert rows != sorted(rows)
    assert len(joined[0]) <= 5 and whole[0].startswith(joined[0])


def test_nothing_is_computed_ahead(make_small):
    """A reader who stops reading pays for no more than was read."""
    model, encoder = make_small("bytes")
    pieces = stream(model, encoder, [b"", b"", b"", b""], max_bytes=100, chunk=8)
    next(pieces)
    pieces.close()
    assert list(stream(model, encoder, PROMPTS, max_bytes=0)) == list(stream(model, encoder, [], max_bytes=9)) == []


def test_errors_come_at_once(make_small):
    """What is wrong with a request is said when it is made, not when its text is read."""
    model, encoder = make_small("bytes")
    with pytest.raises(ContextError, match="the context is 9"):
        stream(model, encoder, [b"abc"], max_bytes=20, context=9)
    with pytest.raises(TypeError, match="stop"):
        stream(model, encoder, [b"abc"], max_bytes=20, stop=b"\n")
    with pytest.raises(ValueError, match="temperature"):
        stream(model, encoder, [b"abc"], max_bytes=20, temperature=-1.0)
    with pytest.raises(InvalidUtf8Error, match="prompt 1"):
        stream(*make_small("hat_v1_in_bytes"), [b"", b"\xff"], max_bytes=20)


def test_a_diverged_model_is_found_out_in_time(make_small):
    """Before anything of its text is given out."""
    model, encoder = make_small("bytes")
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, model)
    pieces = stream(broken, encoder, [b"a", b"", b"", b""], max_bytes=3, chunk=8)
    with pytest.raises(FloatingPointError, match="row 0"):
        next(pieces)
