"""The mesh and its rules: what is computed does not depend on how it is split."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict
from samples import batch, pieces, random_texts, small_config, small_model

from lexitok.parameter_names import names, to_dicts
from lexitok.sharding import ROWS, MeshError, check_rows, make_mesh, parameter_spec
from lexitok.training.setup import Setup, make_setup
from lexitok.training.state import TrainState, is_fixed

GIVEN = ("hnet", "blt")
MESHES = {
    "one": {"data": 1},
    "data": {"data": 8},
    "fsdp": {"data": 1, "fsdp": 8},
    "all": {"data": 2, "fsdp": 2, "tensor": 2},
}


def config(kind: str, mesh: dict, **optimizer) -> ConfigDict:
    c = small_config(kind)
    c.data.rows, c.data.symbols, c.data.units = 8, 128, 64
    c.mesh.update({"data": 1, "fsdp": 1, "tensor": 1, **mesh})
    c.optimizer.update({"warmup": 1, **optimizer})
    c.train.steps = 4
    return c


def run(kind: str, mesh: str, **optimizer) -> tuple[list[dict], dict]:
    """Two steps; their sums, and the parameters after them."""
    c = config(kind, MESHES[mesh], **optimizer)
    devices = jax.devices()[:1] if mesh == "one" else None
    setup = make_setup(c, devices=devices)
    texts = random_texts(1, 8)
    rows = batch(kind, *([p] for p in pieces(kind, *(t or b"x" for t in texts))))
    with jax.set_mesh(setup.mesh):
        state, step = given(setup, kind) if kind in GIVEN else setup.init_state(), setup.step()
        frozen = frozen_in(state.model)
        rows = jax.device_put(rows, NamedSharding(setup.mesh, ROWS))
        sums = []
        for _ in range(2):
            state, out = step(state, rows)
            sums.append(jax.device_get(out))
    assert (kind == "blt") == bool(frozen)
    for name, value in frozen_in(state.model).items():
        np.testing.assert_array_equal(value, frozen[name], err_msg=f"{name} was trained")
    return sums, jax.device_get(jax.tree.map(lambda x: x, state.model))


def given(setup: Setup, kind: str) -> TrainState:
    """A state with the parameters of `samples`: those of a BLT have the model that it asks."""
    model = small_model(kind)
    trained, fixed = setup.states.split(model)
    optimizer = setup.states.optimizer.init(trained)
    state = TrainState(jnp.zeros((), jnp.int32), trained, {"model": fixed}, optimizer, None)
    return jax.tree.map(lambda x, like: jax.device_put(np.array(x), like.sharding), state, setup.abstract_state)


def frozen_in(model) -> dict[str, np.ndarray]:
    """Parameters that no step may change, on the host."""
    return {name: np.array(x) for name, x in names(to_dicts(model)).items() if is_fixed(name)}


once = functools.cache(run)


@pytest.mark.parametrize(
    ("kind", "mesh"),
    [
        ("bytes", "all"),
        *(pytest.param("hat_v2", mesh, marks=pytest.mark.slow) for mesh in ("data", "fsdp", "all")),
        *(pytest.param("bytes", mesh, marks=pytest.mark.slow) for mesh in ("data", "fsdp")),
        *(pytest.param(kind, "all", marks=pytest.mark.slow) for kind in ("hat_v1", *GIVEN)),
    ],
)
def test_the_mesh_does_not_matter(kind, mesh):
    """Initialisation, losses, gradients and updates are the same on one device and on every mesh of eight."""
    expected, model = once(kind, "one")
    actual, sharded_model = run(kind, mesh)
    for a, b in zip(actual, expected, strict=True):
        for name in b:
            np.testing.assert_allclose(a[name], b[name], rtol=2e-5, err_msg=name)
    assert expected[1]["loss"] < expected[0]["loss"]
    for a, b in zip(jax.tree.leaves(sharded_model), jax.tree.leaves(model), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-4)  # the first updates of Adam are as large as the learning rate


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hnet", "blt"])
def test_the_mesh_does_not_matter_to_routers(kind):
    """Where units end, how many there are and what a router's loss is over all rows does not depend on the devices."""
    sums = {}
    for mesh in ("one", "all"):
        setup = make_setup(config(kind, MESHES[mesh]), devices=jax.devices()[:1] if mesh == "one" else None)
        rows = batch(kind, *([p] for p in pieces(kind, *(t or b"x" for t in random_texts(1, 8)))))
        model = jax.tree.map(
            lambda x, like: jax.device_put(np.array(x), like.sharding), small_model(kind), setup.abstract_state.model
        )
        with jax.set_mesh(setup.mesh):
            rows, parts = jax.device_put(rows, NamedSharding(setup.mesh, ROWS)), setup.states.split(model)
            sums[mesh] = jax.device_get(
                jax.jit(lambda a, b, rows, loss=setup.objective: loss(a, {"model": b}, rows)[1])(*parts, rows)
            )
    for name, value in sums["one"].items():
        np.testing.assert_allclose(sums["all"][name], value, rtol=2e-5, err_msg=name)
    each = {name: value / sums["one"]["weights"] for name, value in sums["one"].items()}
    assert 0.1 < each["units"] < 0.9, "what the router says makes no difference"
    assert (kind == "hnet") == (each["extra_loss"] > 0)


@pytest.mark.slow
def test_accumulation_does_not_matter():
    """Micro-batches add up to the gradient of the whole batch, although their numbers of targets differ."""
    expected, _ = once("hat_v2", "one")
    actual, _ = run("hat_v2", "one", accumulate=4)
    for a, b in zip(actual, expected, strict=True):
        for name in b:
            np.testing.assert_allclose(a[name], b[name], rtol=2e-5, err_msg=name)


def test_state_is_born_split():
    """No device ever holds the whole state: each leaf that a rule splits is split over the mesh, moments included."""
    setup = make_setup(config("bytes", MESHES["all"]))
    with jax.set_mesh(setup.mesh):
        state = setup.init_state()
    gate = state.model.backbone.layers.feed_forward.gate[...]
    assert gate.sharding.spec == PartitionSpec(None, "fsdp", "tensor")
    assert gate.addressable_shards[0].data.size == gate.size // 4
    held = sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state))
    whole = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert held < 0.45 * whole


def test_dimensions_that_do_not_divide_stay_whole():
    """A table of 259 symbols cannot be split in two; its other dimension can."""
    mesh = make_mesh(data=2, fsdp=2, tensor=2)
    assert parameter_spec("V D", (259, 16), mesh) == PartitionSpec(None, "fsdp")
    assert parameter_spec("D E", (15, 16), mesh) == PartitionSpec(None, "tensor"), "E is split as if D were too"


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"data": 3}, "needs 3 devices, there are 8"),
        ({"data": -1, "tensor": 3}, "multiple of 3"),
        ({"data": -1, "fsdp": -1}, "one of them"),
        ({"data": 0}, "positive"),
    ],
)
def test_meshes_that_do_not_fit_are_named(sizes, message):
    """The message has the sizes, the devices and what to change."""
    with pytest.raises(MeshError, match=message):
        make_mesh(**sizes)


def test_rows_that_do_not_fit_the_mesh_are_named():
    """Rows are split over data and fsdp together."""
    with pytest.raises(MeshError, match=r"6 rows.*4 devices"):
        check_rows(make_mesh(data=2, fsdp=2, tensor=2), 6)
