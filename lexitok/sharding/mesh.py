"""The mesh: devices along the axes `data`, `fsdp` and `tensor`."""

import math
from typing import Any

import jax
from jax.sharding import AxisType, Mesh

AXES = ("data", "fsdp", "tensor")


class MeshError(ValueError):
    """A mesh that does not fit the devices, or a batch that does not fit the mesh."""


def make_mesh(data: int = -1, fsdp: int = 1, tensor: int = 1, *, devices: Any = None) -> Mesh:
    """A mesh `data x fsdp x tensor` over the devices; one size may be -1 and takes what is left.

    Raises:
      MeshError: the sizes do not multiply to the number of devices; names them.
    """
    devices = jax.devices() if devices is None else list(devices)
    sizes = {"data": data, "fsdp": fsdp, "tensor": tensor}
    asked = ", ".join(f"{axis}={size}" for axis, size in sizes.items())
    free = [axis for axis, size in sizes.items() if size == -1]
    known = math.prod(size for size in sizes.values() if size != -1)
    if len(free) > 1 or any(size == 0 or size < -1 for size in sizes.values()):
        raise MeshError(f"mesh {asked}: sizes are positive, and one of them may be -1")
    if free:
        sizes[free[0]] = len(devices) // known
    if math.prod(sizes.values()) != len(devices):
        raise MeshError(
            f"mesh {asked} needs {'a multiple of ' if free else ''}{known} devices, there are {len(devices)} "
            f"({devices[0].platform}); change --config.mesh.*"
        )
    shape = tuple(sizes.values())
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def current_mesh() -> Mesh | None:
    """The mesh of `jax.set_mesh`, or None."""
    mesh = jax.sharding.get_mesh()
    return None if mesh.empty else mesh
