"""Schedules: their values against the formulas, and that they can be traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lexitok.config import default_config
from lexitok.training.schedules import SCHEDULES, ScheduleError, make_schedule, peak

STEPS, SYMBOLS = 200, 8192


def rates(name, steps=STEPS, **changes):
    config = default_config().optimizer
    config.update(schedule=name, lr=0.01, warmup=20, final=0.1, decay=0.25)
    config.update(changes)
    schedule = jax.jit(jax.vmap(make_schedule(config, steps, SYMBOLS)))
    return np.asarray(schedule(jnp.arange(steps, dtype=jnp.int32)), np.float64)


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n != "power"])
def test_warm_up_is_linear_and_learns_from_the_first_step(name):
    """A first step at rate 0 is a step wasted; the last one of the warm-up is at the peak."""
    np.testing.assert_allclose(rates(name)[:20], 0.01 * np.arange(1, 21) / 20, rtol=1e-6)


def test_cosine():
    """Half a cosine from the peak to `final` of it."""
    s = np.arange(20, STEPS)
    expected = 0.01 * (0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * (s - 20) / 180)))
    np.testing.assert_allclose(rates("cosine")[20:], expected, rtol=1e-5)


def test_wsd_is_stable_then_falls_linearly():
    """The stable phase is what lets a run branch off at any step; the decay takes the last quarter here."""
    r = rates("wsd")
    np.testing.assert_allclose(r[20:151], 0.01, rtol=1e-6)
    np.testing.assert_allclose(r[150:], 0.01 * (1 - 0.9 * np.arange(50) / 50), rtol=1e-5)


def test_power_follows_the_law_then_decays_exponentially():
    """arXiv 2408.13359: min(max_lr, batch * a * n ** b), then equal ratios from step to step."""
    law = lambda n: np.minimum(0.02, SYMBOLS / 4096 * 4.0 * n**-0.51)  # noqa: E731
    r = rates("power")
    np.testing.assert_allclose(r[20:151], law(SYMBOLS * np.arange(20.0, 151)), rtol=1e-5)
    np.testing.assert_allclose(r[151:] / r[150:-1], 0.1 ** (1 / 50), rtol=1e-4)
    assert rates("power", warmup=0)[0] == pytest.approx(0.02)  # bounded where n is 0


def test_power_does_not_depend_on_the_length_of_the_run():
    """Before its decay, a longer run is the same run: that is the point of the law."""
    np.testing.assert_array_equal(rates("power", 400)[:150], rates("power", 200)[:150])


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_shorter_than_its_warm_up(name):
    """A trial of ten steps must not need other settings: it ends within the warm-up, with positive finite rates."""
    r = rates(name, 10)
    assert np.isfinite(r).all() and (r > 0).all() and (r <= 0.02).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_warm_up_no_decay(name):
    """The ends of the ranges are allowed."""
    r = rates(name, warmup=0, decay=0.0)
    assert np.isfinite(r).all() and r[0] == r.max()


def test_peak_is_what_muon_scales_by():
    """Under `power`, `lr` says nothing."""
    config = default_config().optimizer
    assert peak(config) == config.lr
    config.schedule = "power"
    assert peak(config) == config.power.max_lr


def test_errors_name_the_key():
    """A wrong name or range is met before the run, with what there is."""
    with pytest.raises(ScheduleError, match="'linear' is unknown; there are: constant, cosine, wsd, power"):
        rates("linear")
    with pytest.raises(ScheduleError, match=r"optimizer\.decay=1\.5"):
        rates("wsd", decay=1.5)
    with pytest.raises(ScheduleError, match=r"optimizer\.final=0"):
        rates("power", final=0.0)
