"""The measurement of decoding speed runs for every way of writing, and on the text that it is given."""

import pytest
from samples import TEXT, slow_if, small

from lexitok.analysis import decode_speed as file
from lexitok.analysis.decode_speed import decode_speed

TEXTS = TEXT * 3


@pytest.mark.parametrize("kind", slow_if(lambda kind: kind != "bytes", ["bytes", "hat_v2", "learn_your_tokens"]))
def test_speeds_are_measured(kind):
    """Cached and uncached speeds exist for models with and without symbols that end units."""
    model, encoder = small(kind)
    speed = decode_speed(model, encoder, TEXTS, rows=2, prompt=20, write=12, uncached=1)
    assert speed.rows == 2 and speed.cached > 0 and speed.uncached is not None and speed.uncached > 0


@pytest.mark.slow
def test_every_byte_of_the_text_is_counted_once(monkeypatch):
    """Bytes, not symbols, are what is counted: symbols that end units have none."""
    model, encoder = small("learn_your_tokens")
    clock = iter((0.0, 2.0))
    monkeypatch.setattr(file.time, "perf_counter", lambda: next(clock))
    text = b"ab ab ab ab ab ab ab ab ab ab "
    speed = decode_speed(model, encoder, text[:29], rows=1, prompt=8, write=10)
    # The second half of what is written: units of three bytes are four symbols, so three quarters have bytes.
    steps = len(file._symbols(encoder, text[:28])) - len(file._symbols(encoder, text[:8]))
    assert speed.cached == pytest.approx(0.75 * (steps - steps // 2) / 2.0, abs=0.75)


def test_a_text_that_is_too_short_is_named():
    """A speed of nothing would be a wrong number."""
    model, encoder = small("hat_v2")
    with pytest.raises(ValueError, match="10 bytes, and 30 are needed"):
        decode_speed(model, encoder, b"x" * 10, rows=1, prompt=9, write=10)
