"""The units that Bolmo's router finds in a prompt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import LONGEST, TEXT, batch, pieces, small

from lexitok.inference.predicted_units import predicted_ends


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
