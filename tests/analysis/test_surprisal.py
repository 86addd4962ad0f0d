"""The coloured page of a text's surprisal."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexitok.analysis.surprisal import _luminance, characters, colour, surprisal_page


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_characters_cover_every_byte(data):
    """A byte that is in no character would have no colour, valid UTF-8 or not."""
    pieces = list(characters(data))
    assert [c.start for c in pieces] == [0, *(c.stop for c in pieces)][: len(pieces)]
    assert not pieces or pieces[-1].stop == len(data)
    assert "".join(c.text for c in pieces) == data.decode(errors="backslashreplace")


def test_a_character_has_the_bits_of_all_its_bytes():
    """Half a character cannot be shown, and its bits must not be lost."""
    page = surprisal_page("aé".encode(), np.array([1.0, 2.0, 0.5]))
    assert re.findall(r'title="([^"]*)"', page) == ["&#x27;a&#x27;: 1.00 bits", "&#x27;é&#x27;: 2.50 bits"]
    assert "3 bytes, 1.167 bits per byte" in page


def test_text_cannot_become_markup():
    """The text of a page is anything, web pages too."""
    page = surprisal_page(b"<script>&\"'\x00\xff", np.ones(13))
    assert "<script>" not in page and ">\\u{0}</span>" in page and ">\\xff</span>" in page


def test_the_scale_is_monotone_and_readable():
    """Without colour vision only lightness is left, and text on every colour needs a contrast of 4.5 (WCAG 2.2 AA)."""
    last = 2.0
    for value in np.linspace(0, 1, 101):
        back, text = colour(float(value))
        light = _luminance([int(back[i : i + 2], 16) for i in (1, 3, 5)])
        assert light <= last
        last = light
        other = {"#000": 0.0, "#fff": 1.0}[text]
        assert (max(light, other) + 0.05) / (min(light, other) + 0.05) >= 4.5
    assert colour(-1.0) == colour(0.0) and colour(9.0) == colour(1.0)


def test_spread_bits_are_said_to_be_spread():
    """For a subword model the bits of a byte are a convention, and the reader has to know."""
    assert "spread evenly" in surprisal_page(b"ab", np.ones(2), spread="symbols")
    assert "spread evenly" not in surprisal_page(b"ab", np.ones(2))
    with pytest.raises(ValueError, match="2 bytes need as many numbers"):
        surprisal_page(b"ab", np.ones(3))
    with pytest.raises(ValueError, match="unknown spread"):
        surprisal_page(b"ab", np.ones(2), spread="x")


def test_an_empty_text_has_a_page():
    """An empty text cell in the notebook is no error."""
    assert "0 bytes" in surprisal_page(b"", np.zeros(0))
