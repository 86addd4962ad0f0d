"""Every implementation of the recurrence is held to a loop in float64, chunked gradients to those of the reference."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.ops.linear_recurrence import IMPLEMENTATIONS
from lexitok.ops.linear_recurrence import linear_recurrence as eager

B, H, N, P = 2, 4, 3, 5
linear_recurrence = jax.jit(eager, static_argnames=("chunk", "implementation"))


def inputs(S: int, G: int = 2, seed: int = 0, starts: float = 0.1, decay: float = 1.0):
    """Random operands; `decay` scales the log decays, which spread over four powers of ten."""
    rng = np.random.default_rng(seed)
    q, k = (rng.normal(size=(B, S, G, N)).astype(np.float32) for _ in range(2))
    v = rng.normal(size=(B, S, H, P)).astype(np.float32)
    log_decay = (-decay * 10 ** rng.uniform(-3, 1, (B, S, H))).astype(np.float32)
    initial = rng.normal(size=(B, H, N, P)).astype(np.float32)
    return tuple(jnp.asarray(x) for x in (q, k, v, log_decay, rng.random((B, S)) < starts, initial))


def loop(q, k, v, log_decay, starts, initial):
    """The recurrence as it is written down, in float64."""
    q, k, v, log_decay, memory = (np.asarray(x, np.float64) for x in (q, k, v, log_decay, initial))
    starts = np.asarray(starts)
    q, k = (np.repeat(x, H // q.shape[2], axis=2) for x in (q, k))
    y = np.zeros(v.shape)
    for t in range(v.shape[1]):
        decay = np.exp(log_decay[:, t]) * ~starts[:, t][:, None]
        memory = memory * decay[..., None, None] + k[:, t, :, :, None] * v[:, t, :, None, :]
        y[:, t] = np.einsum("bhn,bhnp->bhp", q[:, t], memory)
    return y, memory


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("S", "chunk", "G"), [(1, 4, 1), (23, 8, 1), (16, 8, 4), (5, 64, 2), (9, 1, 2)])
def test_every_implementation_is_the_recurrence(implementation, S, chunk, G):
    """The definition, over chunks that do and do not divide the row, shared and own groups, starts in mid-chunk."""
    args = inputs(S, G, starts=0.15)
    actual = linear_recurrence(*args, chunk=chunk, implementation=implementation)
    for a, b in zip(actual, loop(*args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@settings(max_examples=20)
@given(
    st.lists(st.booleans(), min_size=12, max_size=12), st.sampled_from([1, 5, 12]), st.sampled_from([1e-3, 1.0, 1e3])
)
def test_any_starts_any_chunk(starts, chunk, decay):
    """Where segments start, in or between chunks, many or none, with weak or with total decay, changes nothing."""
    q, k, v, log_decay, _, initial = inputs(12, decay=decay)
    starts = jnp.array([starts, starts[::-1]])
    actual = linear_recurrence(q, k, v, log_decay, starts, initial, chunk=chunk, implementation="chunked")
    for a, b in zip(actual, loop(q, k, v, log_decay, starts, initial), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk", [4, 32])
def test_chunked_gradients_equal_those_of_the_reference(chunk):
    """Training needs the gradients of all operands, the starting memory included."""
    args = inputs(19)
    weights = [jnp.asarray(np.random.default_rng(1).normal(size=s), jnp.float32) for s in ((B, 19, H, P), (B, H, N, P))]

    def loss(q, k, v, log_decay, initial, implementation):
        outs = eager(q, k, v, log_decay, args[4], initial, chunk=chunk, implementation=implementation)
        return sum((w * out).sum() for w, out in zip(weights, outs, strict=True))

    operands = (*args[:4], args[5])
    grad = jax.jit(jax.grad(loss, argnums=range(5)), static_argnames="implementation")
    expected, actual = (grad(*operands, implementation=name) for name in ("reference", "chunked"))
    for a, b in zip(actual, expected, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_long_rows_stay_finite(implementation):
    """No decay must not blow up, total decay must not become infinity minus infinity, in values or gradients."""
    q, k, v, _, starts, initial = inputs(300, starts=0.01)

    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(log_decay):
        y, memory = eager(q, k, v, log_decay, starts, initial, implementation=implementation)
        return jnp.abs(y).sum() + jnp.abs(memory).sum(), y

    loss = jax.jit(loss)
    for log_decay in (0.0, -1e-7, -50.0, -1e9, -np.inf):
        (_, y), gradient = loss(jnp.full((B, 300, H), log_decay))
        assert np.isfinite(y).all() and np.isfinite(gradient).all()
        expected, _ = loop(q, k, v, np.full((B, 300, H), log_decay), starts, initial)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_weak_decay_after_strong_keeps_its_precision():
    """A difference of running sums would lose the small decays behind a large one: here up to a tenth of the result."""
    q, k, v, log_decay, starts, _ = inputs(64, starts=0.0)
    log_decay = jnp.where(jnp.arange(64)[None, :, None] < 32, -1e5, log_decay * 1e-2)
    y, _ = linear_recurrence(q, k, v, log_decay, starts, chunk=64, implementation="chunked")
    expected, _ = loop(q, k, v, log_decay, starts, np.zeros((B, H, N, P)))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)


def test_halves_equal_the_whole():
    """The memory that is returned is all that the rest of the row needs."""
    *args, initial = inputs(21)
    whole, last = linear_recurrence(*args, initial, chunk=8)
    first, middle = linear_recurrence(*(x[:, :9] for x in args), initial, chunk=8)
    second, end = linear_recurrence(*(x[:, 9:] for x in args), middle, chunk=8)
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, atol=1e-5)
    np.testing.assert_allclose(end, last, atol=1e-5)


def test_chunked_holds_no_memory_a_position():
    """What chunks are for: the backward pass does not hold `S` memories of `N·P` floats a head."""
    S, width = 512, 64
    shapes = [(1, S, 1, width), (1, S, 1, width), (1, S, 1, width), (1, S, 1)]
    operands = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]

    def loss(*operands):
        return linear_recurrence(*operands, jnp.zeros((1, S), bool), chunk=32, implementation="chunked")[0].sum()

    memory = jax.jit(jax.grad(loss, argnums=range(4))).lower(*operands).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < S * width * width * 4 / 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"implementation": "parallel"}, "'parallel'.*reference, chunked"),
        ({"chunk": 0}, "at least one position, got 0"),
    ],
)
def test_what_does_not_exist_is_named(changes, message):
    """A typing error in a config must not silently choose something else."""
    with pytest.raises(ValueError, match=message):
        linear_recurrence(*inputs(4), **changes)


def test_groups_that_do_not_divide_the_heads_are_named():
    """Four heads cannot share three groups."""
    with pytest.raises(ValueError, match="4 heads cannot share 3 groups"):
        linear_recurrence(*inputs(4, G=3))
