"""Every implementation of attention is held to the reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import slow

from lexitok.ops.attention import Positions, attention, chunked

S = 75


def packed_positions(seed: int) -> Positions:
    """Two rows of segments of random lengths, with padding at the end."""
    rng = np.random.default_rng(seed)
    segments, positions = np.zeros((2, S), np.int32), np.zeros((2, S), np.int32)
    for row in range(2):
        at = 0
        for number in range(1, 9):
            n = int(rng.integers(1, 20))
            stop = min(at + n, S - 5)
            segments[row, at:stop] = number
            positions[row, at:stop] = np.arange(stop - at)
            at = stop
    return Positions(jnp.asarray(segments), jnp.asarray(positions))


def inputs(seed: int, H: int = 4, K: int = 2, N: int = 8):
    keys = jax.random.split(jax.random.key(seed), 3)
    return [jax.random.normal(key, (2, S, heads, N)) for key, heads in zip(keys, (H, K, K), strict=True)]


@pytest.mark.parametrize(
    ("name", "scope", "window"),
    [
        ("blocked", "causal", 1),
        ("blocked", "causal", 16),
        ("blocked", "full", 200),
        ("chunked", "causal", 0),
        *slow(("blocked", "full", 7), ("chunked", "full", 9)),
    ],
)
def test_implementation_equals_reference(name, scope, window, monkeypatch):
    """Cutting rows into blocks is a way to compute, not a change of the mask: outputs and gradients agree."""
    monkeypatch.setattr(chunked, "CHUNK", 16)
    positions = packed_positions(window)

    def run(implementation, *qkv):
        out = attention(
            *qkv, positions, scope=scope, window=window, scale=0.3, softcap=5.0, implementation=implementation
        )
        return jnp.where(positions.segments_BxS[:, :, None, None] > 0, out, 0.0)

    qkv = inputs(0)
    expected, pull_expected = jax.vjp(lambda *x: run("reference", *x), *qkv)
    actual, pull_actual = jax.vjp(lambda *x: run(name, *x), *qkv)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    for a, b in zip(pull_actual(expected), pull_expected(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_reference_equals_a_loop():
    """The definition itself is checked against a query-by-query computation in NumPy."""
    positions, window, scale = packed_positions(3), 9, 0.4
    q, k, v = inputs(1)
    out = attention(q, k, v, positions, window=window, scale=scale, implementation="reference")
    q, k, v, out = (np.asarray(x, np.float64) for x in (q, k, v, out))
    segments, positions = np.asarray(positions.segments_BxS), np.asarray(positions.positions_BxS)
    for row in range(2):
        for t in np.flatnonzero(segments[row]):
            near = [
                s
                for s in range(t + 1)
                if segments[row, s] == segments[row, t] and positions[row, t] - positions[row, s] < window
            ]
            for head in range(4):
                scores = np.array([q[row, t, head] @ k[row, s, head // 2] for s in near]) * scale
                weights = np.exp(scores - scores.max())
                expected = (weights / weights.sum()) @ v[row, near, head // 2]
                np.testing.assert_allclose(out[row, t, head], expected, atol=1e-5)


def test_a_named_implementation_that_cannot_run_raises():
    """A measurement of one implementation must never be made with another."""
    positions = packed_positions(0)
    with pytest.raises(NotImplementedError, match="window"):
        attention(*inputs(0), positions, scale=1.0, implementation="blocked")
    with pytest.raises(NotImplementedError, match="bfloat16"):
        attention(*inputs(0), positions, scale=1.0, implementation="cudnn")
    with pytest.raises(ValueError, match="reference, blocked"):
        attention(*inputs(0), positions, scale=1.0, implementation="fast")


def test_long_rows_hold_no_square_of_scores():
    """What `chunked` is for, and that it is chosen: 4096 positions train in less memory than their scores take."""
    S, heads = 4096, 2
    qkv = [jax.ShapeDtypeStruct((1, S, heads, 8), jnp.float32)] * 3
    at = jax.ShapeDtypeStruct((1, S), jnp.int32)

    def loss(q, k, v, segments, positions):
        return attention(q, k, v, Positions(segments, positions), scale=1.0).sum()

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(*qkv, at, at).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < S * S * heads * 4
