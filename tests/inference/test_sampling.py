"""Sampling on logits that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.inference.sampling import NOT_FINITE, Sampling, draw, kept, row_keys, step_keys

PROBABILITIES = np.array([0.1, 0.4, 0.05, 0.25, 0.2], np.float32)
LOGITS = jnp.log(jnp.asarray(PROBABILITIES))[None]
ALL = jnp.ones((1, 5), bool)


def kept_ids(logits=LOGITS, **settings):
    return np.flatnonzero(np.asarray(kept(logits, Sampling(**settings)))[0]).tolist()


@pytest.mark.parametrize(
    "settings, ids",
    [
        ({"top_k": 1}, [1]),
        ({"top_k": 3}, [1, 3, 4]),
        ({"top_k": 5}, [0, 1, 2, 3, 4]),
        ({"top_k": 99}, [0, 1, 2, 3, 4]),
        ({"top_p": 1.0}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.39}, [1]),
        ({"top_p": 0.41}, [1, 3]),
        ({"top_p": 0.8}, [1, 3, 4]),
        ({"top_p": 1e-30}, [1]),
        ({"top_k": 2, "top_p": 0.7}, [1, 3]),
        ({"top_k": 2, "top_p": 0.6}, [1]),
    ],
)
def test_which_symbols_are_kept(settings, ids):
    """Top-p is the smallest set that reaches p, over what top-k left; the most likely symbol always stays."""
    assert kept_ids(**settings) == ids


def test_ties_are_cut():
    """Equal logits must not let more than k symbols through."""
    assert kept_ids(jnp.zeros((1, 5)), top_k=2) == [0, 1]


def test_greedy():
    """Temperature 0 takes the most likely of what is allowed, whatever the key."""
    allowed = jnp.asarray([[True, False, True, True, True]])
    assert draw(LOGITS, allowed, row_keys(0, 1), Sampling(0.0)).tolist() == [3]
    assert draw(LOGITS, ALL, row_keys(0, 1), Sampling(0.0)).tolist() == [1]


def test_frequencies():
    """Draws follow the tempered distribution over what is kept and allowed, and nothing else comes."""
    rows = 20_000
    allowed = jnp.tile(jnp.asarray([[True, True, True, False, True]]), (rows, 1))
    sampling = Sampling(temperature=0.5, top_k=3)
    drawn = draw(jnp.tile(LOGITS, (rows, 1)), allowed, row_keys(3, rows), sampling)
    expected = np.where([True, True, False, False, True], PROBABILITIES**2, 0)
    found = np.bincount(np.asarray(drawn), minlength=5) / rows
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.015)


def test_keys_belong_to_rows_and_steps():
    """The same row and step give the same key in a batch of any size; others give others."""
    steps = jnp.zeros(3, jnp.int32)
    three = jax.random.key_data(step_keys(row_keys(0, 3), steps))
    one = jax.random.key_data(step_keys(row_keys(0, 1), steps[:1]))
    later = jax.random.key_data(step_keys(row_keys(0, 3), steps + 1))
    other_seed = jax.random.key_data(step_keys(row_keys(1, 3), steps))
    assert (three[0] == one[0]).all()
    assert len({tuple(key.tolist()) for key in [*three, *later, *other_seed]}) == 9


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite(bad, temperature):
    """A model that diverged must be found out, not sampled from; the other rows are unharmed."""
    logits = jnp.concatenate([LOGITS.at[0, 2].set(bad), LOGITS])
    drawn = draw(logits, jnp.tile(ALL, (2, 1)), row_keys(0, 2), Sampling(temperature)).tolist()
    assert drawn[0] == NOT_FINITE and 0 <= drawn[1] < 5


@pytest.mark.parametrize(
    "settings", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_settings_that_mean_nothing(settings):
    """They are refused by name."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sampling(**settings)
