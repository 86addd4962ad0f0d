"""Compiling the training step without data, and for devices that are not there."""

import dataclasses
import os
from collections import Counter
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

from lexitok.data.batch import Batch, Budget, empty_batch
from lexitok.data.spelling import Spelling
from lexitok.sharding import ROWS
from lexitok.training.collectives import COLLECTIVES, collectives
from lexitok.training.setup import Setup


def pod_devices(topology: str, slices: int = 1) -> list[Any]:
    """The devices of a TPU pod such as `v5e:4x4`, or of several such slices, to compile for; needs `jax[tpu]`, no TPU.

    Raises:
      ValueError: there is no such topology, or no TPU compiler.
    """
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology, num_slices=slices)
        return list(described.devices)
    except Exception as error:
        raise ValueError(f"cannot compile for TPU topology '{topology}': {str(error).splitlines()[0]}") from None


def abstract_batch(setup: Setup) -> Batch:
    """The shapes and shardings of the run's batches."""
    data = setup.config.data
    sharding = NamedSharding(setup.mesh, ROWS)

    def described(shape: tuple[int, ...], value: int, dtype: Any) -> jax.ShapeDtypeStruct:
        del value
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    others = [other.budget for other in setup.objective.tokenisations]
    batch = empty_batch(data.rows, Budget.of(setup.encoder, data.symbols, data.units), others, array=described)
    if data.tokenizers == "own":
        return batch
    everywhere = NamedSharding(setup.mesh, PartitionSpec())
    shapes = (data.drawn.size, data.drawn.parts), (), ()
    spelling = Spelling(*(jax.ShapeDtypeStruct(shape, np.int32, sharding=everywhere) for shape in shapes))
    return dataclasses.replace(batch, vocabulary=spelling)


def compile_step(setup: Setup) -> jax.stages.Compiled:
    """The training step, compiled for the devices of the run's mesh."""
    with jax.set_mesh(setup.mesh):
        return setup.step().lower(setup.abstract_state, abstract_batch(setup)).compile()


def describe(compiled: jax.stages.Compiled) -> dict[str, float | int]:
    """Bytes of memory on each device, and how often each collective stands in the program (a scan's body once)."""
    memory, program = compiled.memory_analysis(), compiled.as_text()
    if memory is None or program is None:
        raise ValueError("the compiler for these devices does not say what it made")
    counts = Counter(found.kind for found in collectives(program))
    return {
        "argument_bytes": memory.argument_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "peak_bytes": memory.argument_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
        **{name: counts[name] for name in COLLECTIVES if counts[name]},
    }
