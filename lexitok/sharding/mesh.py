"""The mesh: devices along the axes `data`, `fsdp` and `tensor`."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

AXES = ("data", "fsdp", "tensor")


class MeshError(ValueError):
    """A mesh that does not fit the devices, or a batch that does not fit the mesh."""


def make_mesh(data: int = -1, fsdp: int = 1, tensor: int = 1, *, devices: Any = None) -> Mesh:
    """A mesh `data x fsdp x tensor` over the devices; one size may be -1 and takes what is left.

    Where the devices are of several slices, whose network is slow between them, `data` goes over the slices as far as
    it can, then `fsdp`; `tensor` stays within one.

    Raises:
      MeshError: the sizes do not multiply to the number of devices, or cannot be laid over them; names them.
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
    over = _over_slices(sizes, Counter(getattr(device, "slice_index", 0) for device in devices), asked)
    return Mesh(_laid(sizes, over, devices, asked), AXES, axis_types=(AxisType.Auto,) * 3)


def _over_slices(sizes: dict[str, int], slices: Counter[int], asked: str) -> tuple[int, int, int]:
    """How many slices each axis goes over."""
    data = math.gcd(sizes["data"], len(slices))
    fsdp = len(slices) // data
    if len(set(slices.values())) > 1:
        each = ", ".join(str(n) for n in slices.values())
        raise MeshError(f"mesh {asked}: the slices have {each} devices, and a mesh needs equally many of each")
    if sizes["fsdp"] % fsdp:
        raise MeshError(
            f"mesh {asked} cannot be laid over {len(slices)} slices of {next(iter(slices.values()))} devices: tensor "
            f"stays within a slice, so data * fsdp has to go over them; make data a multiple of {len(slices)} with "
            "--config.mesh.*"
        )
    return data, fsdp, 1


def _laid(sizes: dict[str, int], over: tuple[int, int, int], devices: Sequence[Any], asked: str) -> np.ndarray:
    """The devices in the mesh's order.

    Links of a slice are an axis of the mesh as a whole wherever they can be, and are shared out among axes of the mesh
    elsewhere: on 256 chips as 16 x 16, `fsdp=64` is 16 by 4.
    """
    shape = tuple(sizes.values())
    within = tuple(size // slices for size, slices in zip(shape, over, strict=True))
    problem: Exception | None = None
    for split in (False, True):
        try:
            if math.prod(over) == 1:
                return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=split)
            return mesh_utils.create_hybrid_device_mesh(within, over, devices, allow_split_physical_axes=split)
        except NotImplementedError as error:
            problem = error
    kind = devices[0].device_kind
    raise MeshError(f"mesh {asked} cannot be laid over {len(devices)} devices ({kind}): {problem}") from problem


def current_mesh() -> Mesh | None:
    """The mesh of `jax.set_mesh`, or None."""
    mesh = jax.sharding.get_mesh()
    return None if mesh.empty else mesh
