"""The units that Bolmo's router finds in a prompt."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import LONGEST, TEXT, batch, pieces, small

from lexitok.inference.generate import generate
from lexitok.inference.predicted_units import predicted_ends
from lexitok.inference.prompts import prompt_symbols
from lexitok.text.segmentation import Segmentation


def test_ends_are_those_of_the_router():
    """A prompt is read as the training text was: what the router says of it must be the same."""
    model, encoder = small("bolmo")
    features = jax.jit(lambda model, rows: model.features(rows))(
        model, batch("bolmo", pieces("bolmo", TEXT), units=128)
    )
    expected = np.asarray(model.stage.router.chances(features["encoded"]))[0, 1 : len(TEXT)] > 0.5
    found = predicted_ends(model, encoder, TEXT)
    assert found.shape == (len(TEXT),) and not found[-1]
    assert (found[:-1] | ~expected).all() and found.sum() > 3
    assert np.diff(np.flatnonzero(found), prepend=-1).max() <= LONGEST
    assert (found[:-1] == expected).mean() > 0.9  # the others are cuts of long units


def test_a_model_without_such_a_router_is_named():
    """The wrong model would give units of nothing."""
    with pytest.raises(ValueError, match="needs a model with router 'distilled'"):
        predicted_ends(*small("hat_v2"), b"abc")
    assert jnp.asarray(predicted_ends(*small("bolmo"), b"")).shape == (0,)


def test_prompts_with_the_units_of_the_router():
    """Nobody must need the tokenizer that the router was taught with; the last unit stays open for the model."""
    model, encoder = small("bolmo")
    prompt = TEXT[:24]
    found = predicted_ends(model, encoder, prompt)
    symbols = prompt_symbols(encoder, prompt, found=found)
    assert encoder.decode(symbols[1:]) == prompt
    assert [s >= encoder.alphabet.fused for s in symbols[1:]] == found.tolist()
    assert symbols != prompt_symbols(encoder, prompt)  # the tokenizer's are others
    settings = {"max_bytes": 6, "temperature": 0.0, "chunk": 8}
    (text,) = generate(model, encoder, [prompt], prompt_units="router", **settings)
    finds = dataclasses.replace(encoder, splitter=Finds(found, encoder.splitter.max_unit_bytes))
    (same,) = generate(model, finds, [prompt], **settings)
    assert text == same and text


class Finds:
    """A splitter that finds the same units in every text."""

    name = "finds"

    def __init__(self, found, max_unit_bytes):
        self.max_unit_bytes = max_unit_bytes
        starts = np.append(True, found[:-1])
        self._units = Segmentation(starts, (np.cumsum(starts) - 1 + found).astype(np.int32))

    def split(self, data):
        assert len(data) == len(self._units)
        return self._units

    def stream(self):
        raise NotImplementedError


def test_unknown_prompt_units_are_named():
    """A slip of the pen must not read the prompt in another way."""
    with pytest.raises(ValueError, match="unknown prompt_units 'tokens'; there are splitter, router"):
        generate(*small("bolmo"), [b"a"], max_bytes=1, prompt_units="tokens")
