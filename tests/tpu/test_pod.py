"""Whole training steps compile for pods that nobody has at hand, sharded as they will be there."""

import dataclasses
import math

import jax
import pytest

from lexitok.config.files import load_config
from lexitok.models.build import model_maker
from lexitok.sharding import AXES
from lexitok.training.ahead_of_time import compile_step, describe, pod_devices
from lexitok.training.collectives import collectives
from lexitok.training.setup import make_setup
from lexitok.training.state import TrainState

SMALL = {
    "hat_v2": [f"model.stage.{k}" for k in ("backbone.D=256", "backbone.L=2", "encoder.L=1", "decoder.L=1")],
    "hnet": [f"model.stage.{k}" for k in ("backbone.D=256", "backbone.L=2", "encoder.L=1", "decoder.L=1")],
    "bytes": ["model.backbone.D=256", "model.backbone.L=2"],
}


def setup_for(name: str, topology: str, *overrides: str):
    sizes = ["data.rows=32", "data.symbols=512", "data.units=160", "model.compute_dtype=bfloat16"]
    config = load_config(f"configs/{name}.py", [*SMALL[name], *sizes, *overrides])
    return make_setup(config, devices=pod_devices(topology))


def nbytes(state: TrainState) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize(
    ("name", "mesh"),
    [
        ("hat_v2", ("mesh.data=4", "mesh.fsdp=2", "mesh.tensor=2")),
        pytest.param("hnet", ("mesh.data=2", "mesh.fsdp=4", "mesh.tensor=2"), marks=pytest.mark.slow),
        ("bytes", ("mesh.data=1", "mesh.fsdp=16")),
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
def test_nothing_of_a_large_table_moves_within_a_loop(mesh):
    """Once a chunk of positions, the gathering of a table of 65,536 rows and the reduction of its gradient would take
    longer than all the rest of a step; before and behind the loop it is once a step."""
    V, D = 65_536, 256
    setup = setup_for(
        "bytes", "v5e:4x4", "data.symbols=2048", *(f"mesh.{a}={n}" for a, n in zip(AXES, mesh, strict=True))
    )
    states = dataclasses.replace(setup.states, make_model=model_maker(setup.config, V))
    found = collectives(compile_step(dataclasses.replace(setup, states=states)).as_text())
    in_loops = max((c.nbytes for c in found if c.in_loop), default=0)
    outside = max(c.nbytes for c in found if not c.in_loop)
    assert outside >= V * D * 2 // mesh[2], "the table is not split, and the test is of nothing"
    assert in_loops < V * D * 2 // 16, found  # layers and rows are smaller than a device's share


def test_unknown_topology_is_named():
    """A typing error in a topology says so."""
    with pytest.raises(ValueError, match="'v5e:3x5'"):
        pod_devices("v5e:3x5")
