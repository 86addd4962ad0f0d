"""How each kind of parameter is split over the mesh.

`data` splits rows, `fsdp` splits rows and parameters, `tensor` splits heads and feed-forward width.
"""

import re
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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
