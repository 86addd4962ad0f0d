"""All sharding rules: the mesh, how each kind of parameter is split, how activations are.

`data` splits rows, `fsdp` splits rows and parameters, `tensor` splits heads and feed-forward width.
"""

import math
import re
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp", "tensor")
ROWS = PartitionSpec(("data", "fsdp"))

# The first rule whose pattern is found in a parameter's path decides; dimensions are those of one layer.
RULES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (r"\.(bias|scale)\b", ()),  # also of what the rules below are about
    (r"\.(wq|wk|wv|wg)\b", ("fsdp", "tensor", None)),  # [D, H, N]
    (r"\.wo\b", ("tensor", None, "fsdp")),  # [H, N, D]
    (r"\.(gate|up)\b", ("fsdp", "tensor")),  # [D, F]
    (r"\.down\b", ("tensor", "fsdp")),  # [F, D]
    (r"\.(table|head)\b", ("tensor", "fsdp")),  # [V, D]
    (r"\.(project|values|keys|queries|out)\b", ("fsdp", "tensor")),  # [D, E], between widths
    (r"", ()),  # norms, latent vectors: a copy on every device
)


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


def check_rows(mesh: Mesh, rows: int) -> None:
    """Raises a `MeshError` unless `rows` can be split over the mesh."""
    ways = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % ways:
        raise MeshError(f"{rows} rows cannot be split over data x fsdp = {ways} devices; change --config.data.rows")


def parameter_spec(path: str, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """How a parameter is split.

    Dimensions that a rule does not speak of come first (stacked layers) and stay whole, as do those that the mesh does
    not divide.
    """
    axes = next(axes for pattern, axes in RULES if re.search(pattern, path))
    if not axes:
        return PartitionSpec()
    axes = (None,) * (len(shape) - len(axes)) + axes
    fits = (a if a and n % mesh.shape[a] == 0 else None for a, n in zip(axes, shape, strict=True))
    return PartitionSpec(*fits)


def state_shardings(state: Any, mesh: Mesh) -> Any:
    """Shardings for a tree of parameters, or of anything that mirrors it, as optimizer moments do."""

    def sharding(path, leaf):
        spec = parameter_spec(jax.tree_util.keystr(path), leaf.shape, mesh) if leaf.ndim else PartitionSpec()
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(sharding, state)


def keep_rows_split(x: jax.Array) -> jax.Array:
    """Holds activations `[B, ...]` to a split by rows, where a mesh is set; without one, does nothing."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or "data" not in mesh.axis_names:
        return x
    return jax.lax.with_sharding_constraint(x, ROWS)
