"""The noise of the robustness probe: what is hit, how, and where everything else has gone."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.evals.perturbations import (
    PERTURBATIONS,
    PerturbationError,
    candidates,
    drop,
    perturb,
    replace,
    swap,
    upper,
)

TEXT = "The naïve Straße 世界中文 costs 1234 dollars, don't; a bc def. " * 8
RNG = random.Random(0)


def test_candidates_are_inside_words():
    """The probe is the paper's only if it hits the same characters: letters and digits between two others."""
    assert [TEXT[i] for i in candidates("a bc def, x1y2!")] == [TEXT[i] for i in (6, 11, 12)]
    assert candidates("a bc def, x1y2!").tolist() == [6, 11, 12]
    assert candidates("世界中文").tolist() == [1, 2]
    assert candidates("ភាសា x\u0301y").tolist() == [1, 2, 6]  # vowels and accents are marks
    assert all(len(candidates(text)) == 0 for text in ("", "a", "ab", "a-b-c"))


def test_each_perturbation_on_a_word():
    """What the names mean, and that swaps which follow each other carry a character on."""
    word = list("abcdef")
    assert "".join(swap(word, [1], RNG)) == "acbdef"
    assert "".join(swap(word, [1, 2], RNG)) == "acdbef"
    assert "".join(swap(word, [1, 3], RNG)) == "acbedf"
    assert "".join(drop(word, [1, 2], RNG)) == "adef"
    assert "".join(upper(list("Straße 世"), [], RNG)) == "STRASSE 世"
    out = replace(word, [2, 4], RNG)
    assert [out[i] for i in (0, 1, 3, 5)] == list("abdf") and all(33 <= ord(out[i]) <= 126 for i in (2, 4))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 1.0])
def test_the_fraction_is_of_the_candidates(fraction):
    """A tenth of the characters is what makes numbers comparable with published ones."""
    n = int(len(candidates(TEXT)) * fraction)
    assert perturb(TEXT.encode(), "drop", fraction=fraction).hit == n
    assert len(TEXT) - len(perturb(TEXT.encode(), "drop", fraction=fraction).data.decode()) == n
    swapped = perturb(TEXT.encode(), "swap", fraction=fraction).data.decode()
    assert sorted(swapped) == sorted(TEXT) and (swapped != TEXT) == (n > 0)


def test_noise_depends_on_the_seed_and_the_document_alone():
    """All models have to read the same noise, today and in a year, in whatever order documents come."""
    a, b = TEXT.encode(), (TEXT + "x").encode()
    for name in ("swap", "replace", "drop"):
        assert perturb(a, name).data == perturb(a, name, source="document 7").data
        assert perturb(a, name).data != perturb(a, name, seed=1).data
        assert perturb(a, name).data != perturb(b, name).data[: len(a)]
    assert perturb(b"abcdefghij klmnopqrstuvw", "drop", fraction=0.5, seed=3).data == b"adgij klnorstvw"


@settings(max_examples=25)
@given(st.text(alphabet=st.sampled_from("abc ß界İ1.\n🌝"), max_size=40), st.sampled_from(sorted(PERTURBATIONS)))
def test_bytes_that_have_a_place_are_the_same_bytes(text, name):
    """Measures on untouched words read the perturbed text at these places."""
    data = text.encode()
    out = perturb(data, name, fraction=0.5)
    kept = np.flatnonzero(out.image >= 0)
    raw, noisy = np.frombuffer(data, np.uint8), np.frombuffer(out.data, np.uint8)
    assert len(out.image) == len(data) and (raw[kept] == noisy[out.image[kept]]).all()
    assert (np.diff(out.image[kept]) > 0).all()
    if name != "upper":
        spaces = np.flatnonzero([not c.isalnum() for c in text])
        assert len(kept) >= len(spaces)
    out.data.decode()


def test_what_cannot_be_perturbed_is_named():
    """Bytes that are no text have no characters to swap, and a fraction of 10 is a mistake."""
    with pytest.raises(PerturbationError, match="document 3 is not valid UTF-8 at byte 2"):
        perturb(b"ab\xff", "swap", source="document 3")
    with pytest.raises(PerturbationError, match="fraction is 10"):
        perturb(b"ab", "swap", fraction=10.0)
    with pytest.raises(PerturbationError, match="there are swap, replace, drop, upper"):
        perturb(b"ab", "shuffle")
