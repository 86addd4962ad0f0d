"""Host arrays to the mesh and back, explicitly: evaluations run with `jax.transfer_guard("disallow")`."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lexitok.sharding import ROWS, check_rows


def current_mesh() -> Mesh | None:
    """The mesh of `jax.set_mesh`, or None."""
    mesh = jax.sharding.get_mesh()
    return None if mesh.empty else mesh


def put(tree: Any) -> Any:
    """Host arrays `[B, ...]` on the devices: rows split over the mesh that is set; without one, on the default device.

    Every process holds the same whole arrays and uploads the rows of its own devices.

    Raises:
      MeshError: the rows cannot be split over the mesh.
    """
    mesh = current_mesh()
    if mesh is None:
        return jax.device_put(tree)
    sharding = NamedSharding(mesh, ROWS)
    return jax.tree.map(lambda x: _put_rows(x, mesh, sharding), tree)


def replicated() -> NamedSharding | None:
    """The sharding of results that every process reads whole; None without a mesh."""
    mesh = current_mesh()
    return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def _put_rows(x: np.ndarray, mesh: Mesh, sharding: NamedSharding) -> jax.Array:
    check_rows(mesh, len(x))
    if jax.process_count() == 1:
        return jax.device_put(x, sharding)
    places = sharding.addressable_devices_indices_map(x.shape)
    parts = [jax.device_put(x[index], device) for device, index in places.items()]
    return jax.make_array_from_single_device_arrays(x.shape, sharding, parts)
