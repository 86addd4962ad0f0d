"""Counting parameters, in the parts that papers report."""

import math
from typing import Any

import jax

from lexitok.made import is_made
from lexitok.parameter_names import leaf_name, parts_of

# Where in a model something is said to be in its decoder; all else that is not in the backbone is in its encoder.
DECODER = frozenset({"decoder", "unpool", "first", "head"})


def count_params(model: Any) -> dict[str, int]:
    """Parameters of a model, or of its shapes from `jax.eval_shape`.

    Returns:
      Counts for `encoder` (with embeddings, pool and router), `backbone` and `decoder` (with the read-out), and their
      `total`; `frozen`, not in it, where there is something that was trained before and stays as it is. What is made
      and not learnt (`lexitok.made`) is in none of them.
    """
    counts: dict[str, int] = dict.fromkeys(("encoder", "backbone", "decoder", "frozen"), 0)
    for path, leaf in jax.tree_util.tree_flatten_with_path(model)[0]:
        if not is_made(leaf_name(path)):
            counts[_part(parts_of(path))] += math.prod(leaf.shape)
    frozen = counts.pop("frozen")
    return {**counts, "total": sum(counts.values()), **({"frozen": frozen} if frozen else {})}


def _part(place: tuple[str, ...]) -> str:
    """The part of a model that a place in its tree belongs to."""
    if any(name.startswith("frozen_") for name in place):
        return "frozen"
    if "backbone" in (place[0], *place[1:2]):
        return "backbone"
    return "encoder" if DECODER.isdisjoint(place) else "decoder"
