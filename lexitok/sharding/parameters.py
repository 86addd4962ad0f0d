"""How each parameter is split over the mesh: by the letters of its axes.

`data` splits rows, `fsdp` splits rows and parameters, `tensor` splits heads and feed-forward width.
"""

from typing import Any

from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from lexitok.parameter_axes import map_with_axes

# The axis of the mesh that splits a letter; where a parameter's earlier letter has it, the next. Others stay whole.
SPLIT = {
    "D": ("fsdp", "tensor"),
    "E": ("fsdp", "tensor"),
    "H": ("tensor",),
    "K": ("tensor",),
    "F": ("tensor",),
    "V": ("tensor",),
}


def parameter_spec(axes: str, shape: tuple[int, ...], mesh: Mesh | AbstractMesh) -> PartitionSpec:
    """How a parameter is split.

    Where not two of its axes are to be split, it is a vector or a table of a few rows: a copy on every device. Axes
    that the mesh does not divide stay whole: where `tensor` is larger than `K`, keys and values are on all of it.

    Args:
      axes: letters of the parameter's axes, as `"L D F"`.
      shape: of the parameter.
      mesh: of which only the sizes are read.
    """
    split: list[str | None] = []
    for letter in axes.split():
        split.append(next((a for a in SPLIT.get(letter, ()) if a not in split), None))
    if len(split) - split.count(None) < 2:
        return PartitionSpec()
    return PartitionSpec(*(a if a and n % mesh.shape[a] == 0 else None for a, n in zip(split, shape, strict=True)))


def state_shardings(state: Any, mesh: Mesh) -> Any:
    """Shardings for a tree of parameters, or of anything that mirrors it, as optimizer moments do.

    What is no parameter, as a count of steps, is a copy on every device.

    Raises:
      AxesError: a parameter that does not say what its axes are.
    """

    def sharding(axes: str | None, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, PartitionSpec() if axes is None else parameter_spec(axes, leaf.shape, mesh))

    return map_with_axes(sharding, state)
