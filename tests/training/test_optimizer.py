"""Optimizers: who is decayed, who is orthogonalised, and that both learn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from optax.contrib import MuonDimensionNumbers

from lexitok.config import default_config
from lexitok.nn.parameters import ones, parameter
from lexitok.nn.transformer import stack
from lexitok.parameter_names import from_dicts, names, to_dicts
from lexitok.training.optimizer import (
    OPTIMIZERS,
    OptimizerError,
    decay_mask,
    decays,
    exponential_average,
    make_optimizer,
    matrix_axes,
)


class Layer(nnx.Module):
    def __init__(self, rngs):
        self.scale = ones("D", 6)
        self.wq = parameter("D H N", jax.random.normal(rngs.params(), (6, 2, 3)))
        self.wo = parameter("H N D", jax.random.normal(rngs.params(), (2, 3, 6)))
        self.up = parameter("D F", jax.random.normal(rngs.params(), (6, 12)))


class Net(nnx.Module):
    def __init__(self):
        self.table = parameter("V D", jax.random.normal(jax.random.key(0), (10, 6)))
        self.first = ones("D", 6)
        self.layers = stack(Layer, 4, nnx.Rngs(params=1))
        self.by_offset = parameter("O D E", jax.random.normal(jax.random.key(2), (5, 6, 4)))
        self.slots = parameter("P E", jax.random.normal(jax.random.key(3), (4, 6)))


def config(name="adamw", **changes):
    c = default_config().optimizer
    c.update({"name": name, "schedule": "constant", "warmup": 0, "lr": 0.01} | changes)
    return c


def one_update(c, params, grads):
    optimizer = make_optimizer(c, 10, 1024)
    return jax.jit(lambda p, g: optimizer.update(g, optimizer.init(p), p)[0])(params, grads)


def test_names():
    """Names decide about decay and sharding, so they must not depend on how Flax stores a variable."""
    assert list(names(to_dicts(Net()))) == [
        *("by_offset", "first", "layers.scale", "layers.up", "layers.wo", "layers.wq", "slots", "table"),
    ]
    net = Net()
    same = from_dicts(to_dicts(net), net)
    assert isinstance(same, Net)
    jax.tree.map(np.testing.assert_array_equal, net, same)


def test_equal_names_are_refused():
    """Two leaves of one name would overwrite each other in a checkpoint."""
    with pytest.raises(ValueError, match=r"two leaves .* named a"):
        to_dicts({"a": 1.0, "b": None} | {Odd(): 2.0})


class Odd(str):
    """A key that differs from `a`, and is written like it."""

    def __new__(cls):
        return super().__new__(cls, "a ")

    def __str__(self):
        return "a"


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("L D H N", True),
        ("L D", False),  # a stack of vectors is no matrix
        ("L H N", False),  # nor is a bias of all heads
        ("L O D", False),
        ("D", False),
        ("", False),
        (None, False),  # no parameter
        ("D F", True),
        ("V D", True),
        ("P E", True),
        ("L C H N", True),
    ],
)
def test_decays(axes, expected):
    """Decay pulls norms and single vectors towards values that mean something else than `small`."""
    assert decays(axes) is expected


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("L D H N", MuonDimensionNumbers(1, (2, 3))),
        ("L H N D", MuonDimensionNumbers((1, 2), 3)),
        ("L D F", MuonDimensionNumbers(1, 2)),
        ("L D H", MuonDimensionNumbers(1, 2)),
        ("E H N", MuonDimensionNumbers(0, (1, 2))),
        ("D D", MuonDimensionNumbers(0, 1)),
        ("O D E", MuonDimensionNumbers(1, 2)),  # a matrix for each offset, not one from offsets to D x E
        ("L O D E", MuonDimensionNumbers(2, 3)),
        ("L D", None),
        ("L H N", None),
        ("V D", None),
        ("P E", None),
        ("L C H N", None),
        ("", None),
        (None, None),
    ],
)
def test_matrix_axes(axes, expected):
    """Orthogonalising over stacks, or over heads as if each were a matrix's rows, is another algorithm; a table is no
    map between widths."""
    assert matrix_axes(axes) == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_is_decoupled_and_masked(name):
    """Without gradients, decayed parameters shrink by `rate * decay`, and the others do not move."""
    net = Net()
    c = config(name, weight_decay=0.5, muon_lr=0.02)
    updates = one_update(c, net, jax.tree.map(jnp.zeros_like, net))
    mask, new, old = (names(to_dicts(t)) for t in (decay_mask(net), updates, net))
    for key, update in new.items():
        rate = 0.02 if name == "muon" and key in ("by_offset", "layers.wq", "layers.wo", "layers.up") else 0.01
        expected = -rate * 0.5 * np.asarray(old[key]) if mask[key] else np.zeros(old[key].shape)
        np.testing.assert_allclose(update, expected, rtol=1e-5, err_msg=key)


def test_muon_updates_each_layer_as_one_orthogonal_matrix():
    """A layer's update must be the same as if it were alone, and have singular values near 1 (0.5 to 1.5)."""
    net = Net()
    c = config("muon", weight_decay=0.0, muon_lr=1.0, clip=0.0)
    grads = jax.tree.map(lambda x: jax.random.normal(jax.random.key(5), x.shape), net)
    updates = one_update(c, net, grads)

    def third(net):
        return {
            "wq": parameter("D H N", net.layers.wq[2]),
            "wo": parameter("H N D", net.layers.wo[2]),
            "by_offset": parameter("D E", net.by_offset[2]),
        }

    alone = one_update(c, third(net), third(grads))
    for name, update in third(updates).items():
        np.testing.assert_allclose(update[...], alone[name][...], atol=1e-4, err_msg=name)
    for matrix in (updates.layers.wq[1].reshape(6, 6), updates.layers.wo[1].reshape(6, 6), updates.by_offset[1]):
        singular = np.linalg.svd(matrix, compute_uv=False)
        assert singular.min() > 0.3 and singular.max() < 1.4
    wide = np.linalg.svd(updates.layers.up[1], compute_uv=False)  # 6 -> 12: scaled by sqrt(2)
    assert 0.6 * 2**0.5 < wide.mean() < 1.2 * 2**0.5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learns_in_float32_under_strict_promotion(name):
    """Moments and updates are float32 whatever Optax does inside, and the loss goes down."""
    net, target = Net(), jax.tree.map(lambda x: x + 0.3, Net())
    optimizer = make_optimizer(config(name, lr=0.02), 60, 1024)
    state = optimizer.init(net)
    dtypes = {leaf.dtype.name for leaf in jax.tree.leaves(state) if leaf.dtype.kind == "f"}
    assert dtypes == {"float32"}

    def loss(net):
        return sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(net), jax.tree.leaves(target), strict=True))

    @jax.jit
    def step(net, state):
        value, grads = jax.value_and_grad(loss)(net)
        updates, state = optimizer.update(grads, state, net)
        return optax.apply_updates(net, updates), state, value

    values = []
    for _ in range(60):
        net, state, value = step(net, state)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(net))


def test_clipping():
    """What Adam sees is clipped: with beta 0 and a large epsilon its update is linear in the gradient."""
    params, grads = {"w": jnp.zeros((2, 2))}, {"w": jnp.full((2, 2), 50.0)}  # norm 100
    c = {"b1": 0.0, "b2": 0.0, "eps": 1e6, "weight_decay": 0.0}
    clipped, free = (one_update(config(**c, clip=clip), params, grads)["w"] for clip in (1.0, 0.0))
    np.testing.assert_allclose(free, 100 * clipped, rtol=1e-3)


def test_exponential_average():
    """It follows the parameters at once in the beginning, and slowly later."""
    average, params = {"w": jnp.zeros(2)}, {"w": jnp.ones(2)}
    np.testing.assert_allclose(exponential_average(average, params, 0.99, jnp.int32(0))["w"], 0.9, rtol=1e-6)
    np.testing.assert_allclose(exponential_average(average, params, 0.99, jnp.int32(10_000))["w"], 0.01, rtol=1e-4)


def test_unknown_optimizer():
    """The message lists what there is."""
    with pytest.raises(OptimizerError, match="'adam' is unknown; there are: adamw, muon"):
        make_optimizer(config("adam"), 10, 1024)
