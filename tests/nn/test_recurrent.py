"""Recurrent layers: what they compute, what they see, and that no way of cutting a row changes it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import FrozenConfigDict

from lexitok.nn.mamba2 import Mamba2
from lexitok.nn.mlstm import MLSTM
from lexitok.ops.attention import Positions

LAYERS = {"mamba2": Mamba2, "mlstm": MLSTM}
SMALL = {
    "mamba2": {"D": 8, "L": 2, "N": 4, "state": 6, "conv": 4, "expand": 2, "groups": 2, "norm_eps": 1e-5},
    "mlstm": {
        "D": 8,
        "L": 2,
        "H": 2,
        "qk_factor": 0.5,
        "v_factor": 1.0,
        "gate_softcap": 15.0,
        "input_gate_bias": -1.0,
        "forget_gate_bias": (1.0, 3.0),
        "norm_eps": 1e-6,
    },
}
B, S = 2, 15
call = jax.jit(lambda layer, x, at: layer(x, at))
extend = jax.jit(lambda layer, x, live, state: layer.extend(x, live, state))


@functools.cache
def make(name: str, **changes):
    return LAYERS[name](FrozenConfigDict({**SMALL[name], **changes}), rngs=nnx.Rngs(0))


def positions(seed: int = 0, rows: int = B, length: int = S) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (rows, length, 8))


def positions_of(segments) -> Positions:
    segments = jnp.asarray(segments, jnp.int32)
    return Positions(segments, jnp.zeros_like(segments))


def vectors(layer) -> dict[str, np.ndarray]:
    """The parameters in float64, by name."""
    leaves = jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(layer)))
    return {".".join(str(k.key) for k in path): np.asarray(leaf, np.float64) for path, leaf in leaves}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mamba2_by_step(layer, x_SxD):
    """One row by the published step (arXiv 2405.21060, section 7.1, and its convolution, gate and norm)."""
    p, c = vectors(layer), layer.c
    H, P = p["wv"].shape[1:]
    heads_a_group = H // c.groups
    memory, window, ys = np.zeros((H, P, c.state)), {}, []
    for u in x_SxD:
        mixed = {}
        for name in ("v", "k", "q"):
            new = np.einsum("d,dmn->mn", u, p[f"w{name}"])
            past = window.get(name, [np.zeros_like(new)] * c.conv)
            window[name] = [*past[1:], new]
            conv = sum(t * i for t, i in zip(p[f"conv_{name}.taps"], window[name], strict=True))
            conv = conv + p[f"conv_{name}.bias"]
            mixed[name] = conv * sigmoid(conv)
        delta = np.log1p(np.exp(u @ p["wdt"] + p["dt_bias"]))
        rate = -np.exp(p["log_rate"])
        b, cc = (np.repeat(mixed[n], heads_a_group, axis=0) for n in ("k", "q"))
        memory = np.exp(delta * rate)[:, None, None] * memory
        memory = memory + delta[:, None, None] * mixed["v"][:, :, None] * b[:, None, :]
        y = np.einsum("hpn,hn->hp", memory, cc) + p["skip"][:, None] * mixed["v"]
        z = np.einsum("d,dhp->hp", u, p["wg"])
        grouped = (y * z * sigmoid(z)).reshape(c.groups, -1)
        normed = grouped / np.sqrt((grouped**2).mean(-1, keepdims=True) + c.norm_eps)
        ys.append(np.einsum("hp,hpd->d", normed.reshape(H, P) * p["scale"], p["wo"]))
    return np.array(ys)


def mlstm_by_step(layer, x_SxD):
    """One row by the published step, with its running maximum `m` (arXiv 2405.04517, equations 19 to 27)."""
    p, c = vectors(layer), layer.c
    N, P = p["wq"].shape[2], p["wv"].shape[2]

    def cap(u):
        return c.gate_softcap * np.tanh(u / c.gate_softcap)

    memory, normaliser, m, ys = np.zeros((c.H, N, P)), np.zeros((c.H, N)), np.zeros(c.H), []
    for u in x_SxD:
        q, k, v, o = (np.einsum("d,dhn->hn", u, p[w]) for w in ("wq", "wk", "wv", "wg"))
        i = cap(u @ p["input_gate.weight"] + p["input_gate.bias"])
        log_f = np.log(sigmoid(cap(u @ p["forget_gate.weight"] + p["forget_gate.bias"])))
        new_m = np.maximum(log_f + m, i)
        f_, i_ = np.exp(log_f + m - new_m), np.exp(i - new_m)
        memory = f_[:, None, None] * memory + i_[:, None, None] * k[:, :, None] * v[:, None, :]
        normaliser, m, q = f_[:, None] * normaliser + i_[:, None] * k, new_m, q / np.sqrt(N)
        size = np.maximum(np.abs((normaliser * q).sum(-1)), np.exp(-m))
        h = np.einsum("hn,hnp->hp", q, memory) / size[:, None]
        h = h - h.mean(-1, keepdims=True)
        h = h / np.sqrt((h**2).mean(-1, keepdims=True) + c.norm_eps) * p["scale"]
        ys.append(np.einsum("hp,hpd->d", sigmoid(o) * h, p["wo"]))
    return np.array(ys)


@pytest.mark.parametrize(("name", "by_step"), [("mamba2", mamba2_by_step), ("mlstm", mlstm_by_step)])
def test_layer_is_the_published_recurrence(name, by_step):
    """Chunks, packing and the missing running maximum leave the published step as it is."""
    layer, x = make(name), positions()
    actual = call(layer, x, positions_of(np.zeros((B, S))))
    expected = np.stack([by_step(layer, np.asarray(row, np.float64)) for row in x])
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "changes", "count"),
    [
        # H-Net's widths, with state-spaces/mamba's defaults: at 1024, 1024·4384 in, 2304·5 conv, 3·32, 2048, 2048·1024
        ("mamba2", {"D": 1024, "N": 64, "state": 128, "conv": 4, "expand": 2, "groups": 1}, 6_600_032),
        ("mamba2", {"D": 1536, "N": 64, "state": 128, "conv": 4, "expand": 2, "groups": 1}, 14_642_576),
        # Bolmo (arXiv 2512.15586, Table 7; allenai/bolmo-core): 4·D² + 2·H·(D + 1) + D
        ("mlstm", {"D": 4096, "H": 16}, 67_244_064),
        ("mlstm", {"D": 2048, "H": 16}, 16_844_832),
    ],
)
def test_published_sizes(name, changes, count):
    """A layer of a published width has the published number of parameters."""
    shapes = nnx.eval_shape(lambda: LAYERS[name](FrozenConfigDict({**SMALL[name], **changes}), rngs=nnx.Rngs(0)))
    assert sum(np.prod(x.shape, dtype=int) for x in jax.tree.leaves(nnx.state(shapes))) == count


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=12)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_packed_equals_alone(name, lengths):
    """A segment is computed as if it had the row for itself, also where it is shorter than the convolution."""
    layer, x = make(name), positions(1, 1, 24)
    ids = np.repeat(np.arange(len(lengths)) % 2, lengths)  # ids come again, as those of padding do
    packed = call(layer, x, positions_of(np.pad(ids, (0, 24 - len(ids)), constant_values=7)[None]))
    start = 0
    for length in lengths:
        alone = jnp.zeros((1, 24, 8)).at[:, :length].set(x[:, start : start + length])
        expected = call(layer, alone, positions_of(np.zeros((1, 24))))[:, :length]
        np.testing.assert_allclose(packed[:, start : start + length], expected, rtol=1e-4, atol=1e-5)
        start += length


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=12)
@given(cuts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=6, max_size=6))
def test_extend_equals_call_for_any_cuts(name, cuts):
    """Rows read at different speeds, with steps in which one of them rests, give what reading them at once gives."""
    layer, x, width = make(name), positions(2), 5
    full = np.asarray(call(layer, x, positions_of(np.zeros((B, S)))))
    state, read = layer.empty(layer.c, B, jnp.float32), [0, 0]
    for step in [*cuts, (5, 5), (5, 5), (5, 5)]:
        live = [min(n, S - at) for n, at in zip(step, read, strict=True)]
        new = np.full((B, width, 8), 1e3, np.float32)  # what idle positions hold must not matter
        for row in range(B):
            new[row, : live[row]] = x[row, read[row] : read[row] + live[row]]
        before = state
        y, state = extend(layer, jnp.asarray(new), jnp.arange(width)[None] < jnp.array(live)[:, None], state)
        for row in range(B):
            expected = full[row, read[row] : read[row] + live[row]]
            np.testing.assert_allclose(y[row, : live[row]], expected, rtol=1e-4, atol=1e-5)
            read[row] += live[row]
            if live[row] == 0:
                for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(before), strict=True):
                    np.testing.assert_array_equal(a[row], b[row])
    assert read == [S, S]


@pytest.mark.parametrize("name", LAYERS)
def test_causality_by_gradient(name):
    """An output depends on its own and earlier positions of its segment, and on nothing else."""
    layer, x = make(name), positions()
    at = positions_of([[1] * 6 + [2] * 9, [1] * 15])
    jacobian = jax.jit(jax.jacrev(lambda x: layer(x, at)[0].sum(-1)))(x)  # [S, B, S, D]
    reach = np.abs(np.asarray(jacobian)).sum(-1)
    assert (reach[:, 1] == 0).all()
    t, s = np.indices((S, S))
    same = np.asarray(at.segments_BxS)[0][:, None] == np.asarray(at.segments_BxS)[0][None]
    np.testing.assert_array_equal(reach[:, 0] > 0, (s <= t) & same)


@pytest.mark.parametrize("name", LAYERS)
def test_every_parameter_is_trained(name):
    """No parameter is without effect, and extreme activations give finite gradients."""
    layer, x = make(name), positions()
    grad = jax.jit(jax.grad(lambda layer, x: jnp.square(layer(x, positions_of(np.zeros((B, S))))).sum()))
    for size in (1.0, 1e3):
        for leaf in jax.tree.leaves(nnx.state(grad(layer, size * x))):
            assert np.isfinite(leaf).all()
            assert size > 1.0 or np.abs(leaf).max() > 0


def test_mlstm_holds_what_open_gates_let_in():
    """Without a running maximum: gates at their cap for a long row neither overflow nor lose what was read."""
    layer = MLSTM(
        FrozenConfigDict({**SMALL["mlstm"], "input_gate_bias": 1e3, "forget_gate_bias": (1e3, 1e3)}), rngs=nnx.Rngs(0)
    )
    x = positions(3, 1, 600)
    y, expected = call(layer, x, positions_of(np.zeros((1, 600)))), mlstm_by_step(layer, np.asarray(x[0], np.float64))
    np.testing.assert_allclose(y[0], expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_stays_near_float32(name):
    """Activations may be bfloat16: outputs are too, the memory is not."""
    layer, x = make(name), positions()
    state = layer.empty(layer.c, B, jnp.bfloat16)
    y, state = extend(layer, x.astype(jnp.bfloat16), jnp.ones((B, S), bool), state)
    assert y.dtype == jnp.bfloat16 and state["memory"].dtype == jnp.float32
    np.testing.assert_allclose(y.astype(jnp.float32), call(layer, x, positions_of(np.zeros((B, S)))), atol=0.1)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("mamba2", {"N": 5}, "N=5 do not fill expand.D=16"),
        ("mamba2", {"groups": 3}, "4 heads cannot share groups=3"),
        ("mlstm", {"H": 3}, "qk_factor.D = 4 .* H=3 heads"),
        ("mlstm", {"gate_softcap": 0.0}, "gate_softcap 0.0"),
    ],
)
def test_settings_that_do_not_fit_are_named(name, changes, message):
    """A wrong setting fails when the layer is made, with what would be right."""
    with pytest.raises(ValueError, match=message):
        make(name, **changes)
