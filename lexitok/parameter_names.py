"""Names of the leaves of a tree of modules, and the same tree as nested dicts."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey


def leaf_name(path: tuple[Any, ...]) -> str:
    """The dotted name of a leaf, as `backbone.layers.mixer.wq`: a variable goes by the name of its attribute."""
    return ".".join(parts_of(path))


def parts_of(path: tuple[Any, ...]) -> tuple[str, ...]:
    """The parts of a leaf's name; the `value` that a Flax variable adds at the end is left out."""
    if len(path) > 1 and isinstance(path[-1], GetAttrKey) and path[-1].name == "value":
        path = path[:-1]
    return tuple(_part(key) for key in path)


def _part(key: Any) -> str:
    match key:
        case GetAttrKey(name=name):
            return name
        case DictKey(key=name) | FlattenedIndexKey(key=name):
            return str(name)
        case SequenceKey(idx=index):
            return str(index)
    raise TypeError(f"no name for {key!r}, part of a path in a tree")


def map_with_name(function: Callable[[str, Any], Any], tree: Any) -> Any:
    """`tree` with every leaf replaced by `function(name, leaf)`."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: function(leaf_name(path), leaf), tree)


def to_dicts(tree: Any) -> dict[str, Any]:
    """The tree as nested dicts by the parts of its leaves' names: what it was made of no longer matters.

    Raises:
      ValueError: two leaves have the same name, or one's name is the beginning of another's.
    """
    out: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        *sections, last = parts_of(path) or ("value",)
        node = out
        for part in sections:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ValueError(f"{leaf_name(path)}: '{part}' is a leaf too")
        if last in node:
            raise ValueError(f"two leaves of the tree are named {leaf_name(path)}")
        node[last] = leaf
    return out


def from_dicts(dicts: Mapping[str, Any], like: Any) -> Any:
    """A tree of the structure of `like` with the leaves that `to_dicts` put into `dicts`."""
    leaves = []
    for path, _ in jax.tree_util.tree_flatten_with_path(like)[0]:
        node: Any = dicts
        for part in parts_of(path) or ("value",):
            node = node[part]
        leaves.append(node)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def names(dicts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by dotted name."""
    out = {}
    for key, value in dicts.items():
        if isinstance(value, Mapping):
            out |= names(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def split(tree: Any, chosen: Callable[[str], bool]) -> tuple[Any, Any]:
    """The tree with only the leaves whose names are chosen, and with only the others; None stands for the rest."""
    ours = map_with_name(lambda name, leaf: leaf if chosen(name) else None, tree)
    return ours, map_with_name(lambda name, leaf: None if chosen(name) else leaf, tree)


def merge(a: Any, b: Any) -> Any:
    """The tree that `split` took apart: the leaves of both."""
    return jax.tree.map(lambda x, y: y if x is None else x, a, b, is_leaf=lambda x: x is None)


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dicts whose `names` these are."""
    out: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *sections, last = name.split(".")
        node = out
        for part in sections:
            node = node.setdefault(part, {})
        node[last] = leaf
    return out
