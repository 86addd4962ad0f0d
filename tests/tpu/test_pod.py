"""Whole training steps compile for pods that nobody has at hand, sharded as they will be there."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from lexitok.config.files import load_config
from lexitok.models.build import model_maker
from lexitok.sharding import AXES, MeshError, make_mesh, row_share
from lexitok.training.ahead_of_time import compile_step, describe, pod_devices
from lexitok.training.collectives import collectives
from lexitok.training.setup import make_setup
from lexitok.training.state import TrainState

SMALL = {
    "hat_v2": [f"model.stage.{k}" for k in ("backbone.D=256", "backbone.L=2", "encoder.L=1", "decoder.L=1")],
    "hnet": [f"model.stage.{k}" for k in ("backbone.D=256", "backbone.L=2", "encoder.L=1", "decoder.L=1")],
    "bytes": ["model.backbone.D=256", "model.backbone.L=2"],
}


def setup_for(name: str, topology: str, *overrides: str, slices: int = 1):
    sizes = ["data.rows=32", "data.symbols=512", "data.units=160", "model.compute_dtype=bfloat16"]
    config = load_config(f"configs/{name}.py", [*SMALL[name], *sizes, *overrides])
    return make_setup(config, devices=pod_devices(topology, slices))


def nbytes(state: TrainState) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize(
    ("name", "mesh"),
    [
        ("bytes", ("mesh.data=4", "mesh.fsdp=2", "mesh.tensor=2")),
        pytest.param("hat_v2", ("mesh.data=4", "mesh.fsdp=2", "mesh.tensor=2"), marks=pytest.mark.slow),
        pytest.param("hnet", ("mesh.data=2", "mesh.fsdp=4", "mesh.tensor=2"), marks=pytest.mark.slow),
        pytest.param("bytes", ("mesh.data=1", "mesh.fsdp=16"), marks=pytest.mark.slow),  # as on two slices
    ],
)
def test_step_compiles_for_v5e_4x4(name, mesh):
    """The step runs on 16 chips as written: state split over them, gradients and parameters moved by collectives."""
    setup = setup_for(name, "v5e:4x4", *mesh)
    found = describe(compile_step(setup))
    whole = nbytes(setup.abstract_state)
    ways = setup.mesh.shape["fsdp"] * setup.mesh.shape["tensor"]
    assert found["argument_bytes"] < 1.35 * whole / ways + 2e6, "the state is not split over the mesh"
    assert found.get("all-reduce", 0) + found.get("reduce-scatter", 0) > 0
    assert found.get("all-gather", 0) > 0
    assert found["peak_bytes"] < 16e9


@pytest.mark.parametrize("mesh", [(1, 16, 1), (2, 4, 2)])
@pytest.mark.slow
def test_nothing_of_a_large_table_moves_within_a_loop(mesh):
    """Once a chunk of positions, the gathering of a table of 65,536 rows and the reduction of its gradient would take
    longer than all the rest of a step; before and behind the loop it is once a step."""
    V, D = 65_536, 256
    sizes = [f"mesh.{axis}={size}" for axis, size in zip(AXES, mesh, strict=True)]
    setup = setup_for("bytes", "v5e:4x4", "data.symbols=2048", *sizes)
    states = dataclasses.replace(setup.states, make_model=model_maker(setup.config, V))
    found = collectives(compile_step(dataclasses.replace(setup, states=states)).as_text())
    in_loops = max((c.nbytes for c in found if c.in_loop), default=0)
    outside = max(c.nbytes for c in found if not c.in_loop)
    assert outside >= V * D * 2 // mesh[2], "the table is not split, and the test is of nothing"
    assert in_loops < V * D * 2 // mesh[2] // 2, found  # activations are moved there, where `tensor` splits layers


def slices_of(devices: np.ndarray) -> set[int]:
    return {device.slice_index for device in devices.flat}


@pytest.mark.parametrize(
    ("sizes", "across"),
    [
        ((2, 16, 1), "data"),
        ((4, 4, 2), "data"),
        ((2, 1, 16), "data"),
        ((32, 1, 1), "data"),
        ((1, 32, 1), "fsdp"),
        ((1, 4, 8), "fsdp"),
    ],
)
def test_tensors_stay_within_a_slice(sizes, across):
    """Between slices the network is slow: replicas of the data go over it, parameters if there is no replica, and what
    `tensor` moves in every layer never does."""
    mesh = make_mesh(*sizes, devices=pod_devices("v5e:4x4", 2))
    assert mesh.devices.shape == sizes
    assert len({device.id for device in mesh.devices.flat}) == 32
    for along_fsdp in mesh.devices:
        assert len(slices_of(along_fsdp)) == (1 if across == "data" else 2)
        assert all(len(slices_of(along_tensor)) == 1 for along_tensor in along_fsdp)


def test_meshes_that_no_slices_can_have_are_named():
    """What cannot be laid says so in the words of the config."""
    devices = pod_devices("v5e:4x4", 2)
    with pytest.raises(MeshError, match=r"fsdp=1, tensor=32 .* 2 slices of 16 devices: tensor stays within"):
        make_mesh(1, 1, 32, devices=devices)
    with pytest.raises(MeshError, match="the slices have 16, 8 devices"):
        make_mesh(-1, devices=devices[:24])


@pytest.mark.parametrize("sizes", [(64, 4, 1), (1, 64, 4), (16, 16, 1), (1, 256, 1)])
def test_the_links_of_a_slice_are_shared_out(sizes):
    """Sizes that are no product of the sides of a slice, here 16 x 16, are still meshes of it."""
    mesh = make_mesh(*sizes, devices=pod_devices("v6e:16x16"))
    assert mesh.devices.shape == sizes
    assert len({device.id for device in mesh.devices.flat}) == 256


@pytest.mark.slow
def test_step_compiles_for_two_slices():
    """The step runs on two slices as written, each with a replica of the state that is split over its own chips."""
    setup = setup_for("bytes", "v5e:4x4", "mesh.data=2", "mesh.fsdp=16", slices=2)
    found = describe(compile_step(setup))
    assert [slices_of(replica) for replica in setup.mesh.devices] == [{0}, {1}]
    assert found["argument_bytes"] < 1.35 * nbytes(setup.abstract_state) / 16 + 2e6, "the state is not split"
    assert found.get("all-reduce", 0) + found.get("reduce-scatter", 0) > 0


def test_processes_that_hold_the_same_rows_have_one_share():
    """Where `tensor` goes across hosts they have to read the same rows; else each would feed the others' halves."""
    devices = pod_devices("v5e:4x4")
    hosts = len({device.process_index for device in devices})
    assert hosts > 1
    assert row_share(make_mesh(1, 1, 16, devices=devices)) == (0, 1)
    index, count = row_share(make_mesh(16, 1, 1, devices=devices))
    assert count == hosts and 0 <= index < count


def test_unknown_topology_is_named():
    """A typing error in a topology says so."""
    with pytest.raises(ValueError, match="'v5e:3x5'"):
        pod_devices("v5e:3x5")
