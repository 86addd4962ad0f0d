"""Rows of batches over the mesh: host arrays to the devices, explicitly, in training as in evaluation.

Loops run with `jax.transfer_guard("disallow")`, so nothing gets to a device by the way.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lexitok.sharding.mesh import MeshError, current_mesh

ROWS = PartitionSpec(("data", "fsdp"))


def check_rows(mesh: Mesh, rows: int) -> None:
    """Raises a `MeshError` unless `rows` can be split over the mesh."""
    ways = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % ways:
        raise MeshError(f"{rows} rows cannot be split over data x fsdp = {ways} devices; change --config.data.rows")


def row_share(mesh: Mesh) -> tuple[int, int]:
    """Which share of every batch's rows this process prepares, and how many shares there are.

    Processes whose devices hold the same rows, as where `tensor` goes across them, have the same share.

    Raises:
      MeshError: the rows of two processes overlap without being the same.
    """
    of_process: dict[int, set[int]] = {}
    devices = mesh.devices.reshape(-1, mesh.shape["tensor"])  # by place in data x fsdp
    for place, together in enumerate(devices):
        for device in together:
            of_process.setdefault(device.process_index, set()).add(place)
    shares = sorted({tuple(sorted(places)) for places in of_process.values()})
    if sum(map(len, shares)) != len(devices) or len({len(share) for share in shares}) != 1:
        raise MeshError(
            f"mesh {dict(mesh.shape)}: the devices of different processes hold rows that overlap, or not equally many; "
            "change --config.mesh.*"
        )
    return shares.index(tuple(sorted(of_process[jax.process_index()]))), len(shares)


def put_rows(tree: Any) -> Any:
    """Host arrays `[B, ...]` on the devices: rows split over the mesh that is set; without one, on the default device.

    Every process holds the same whole arrays and uploads the rows of its own devices.

    Raises:
      MeshError: the rows cannot be split over the mesh.
    """
    mesh = current_mesh()
    if mesh is None:
        return jax.device_put(tree)
    return jax.tree.map(lambda x: _put(x, mesh, len(x), None), tree)


def put_share(tree: Any, mesh: Mesh) -> Any:
    """As `put_rows`, from this process's share of the rows (`row_share`) in place of all of them."""
    _, count = row_share(mesh)
    ways = mesh.shape["data"] * mesh.shape["fsdp"]
    own = sorted({at[0].start or 0 for at in _indices(mesh, ways).values()})  # places in data x fsdp, in order
    return jax.tree.map(lambda x: _put(x, mesh, len(x) * count, own), tree)


def put_whole(tree: Any) -> Any:
    """Host arrays on every device of the mesh that is set, whole; without one, on the default device.

    Every process holds the same arrays.
    """
    mesh = current_mesh()
    return jax.device_put(tree) if mesh is None else jax.tree.map(lambda x: _put_whole(x, mesh), tree)


def whole(x: jax.Array) -> jax.Array:
    """A copy of an array on every device of the mesh that is set; without one, the array."""
    mesh = jax.sharding.get_abstract_mesh()
    return x if mesh.empty else jax.lax.with_sharding_constraint(x, PartitionSpec())


def replicated() -> NamedSharding | None:
    """The sharding of results that every process reads whole; None without a mesh."""
    mesh = current_mesh()
    return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def _put(x: np.ndarray, mesh: Mesh, rows: int, own: list[int] | None) -> jax.Array:
    """An array of `rows` rows, of which `x` holds all, or those of the places `own`."""
    check_rows(mesh, rows)
    sharding, shape = NamedSharding(mesh, ROWS), (rows, *x.shape[1:])
    x = np.ascontiguousarray(x)
    if jax.process_count() == 1:
        return jax.device_put(x, sharding)
    each = rows // (mesh.shape["data"] * mesh.shape["fsdp"])
    parts = []
    for device, (at, *_) in _indices(mesh, rows).items():
        start = at.start or 0
        start = start if own is None else own.index(start // each) * each
        parts.append(jax.device_put(x[start : start + each], device))
    return jax.make_array_from_single_device_arrays(shape, sharding, parts)


def _put_whole(x: np.ndarray, mesh: Mesh) -> jax.Array:
    sharding = NamedSharding(mesh, PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(x, sharding)
    parts = [jax.device_put(x, device) for device in sharding.addressable_devices]
    return jax.make_array_from_single_device_arrays(x.shape, sharding, parts)


def _indices(mesh: Mesh, rows: int) -> dict[Any, Any]:
    return {**NamedSharding(mesh, ROWS).addressable_devices_indices_map((rows,))}


def row_ways() -> int:
    """How many devices of the mesh that is set rows are split over; 1 without one."""
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if mesh.empty or "data" not in mesh.axis_names else mesh.shape["data"] * mesh.shape["fsdp"]


def keep_rows_split(x: jax.Array) -> jax.Array:
    """Holds activations `[B, ...]` to a split by rows, where a mesh is set; without one, does nothing."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or "data" not in mesh.axis_names:
        return x
    return jax.lax.with_sharding_constraint(x, ROWS)
