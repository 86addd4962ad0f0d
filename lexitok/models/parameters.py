"""Counting parameters, in the parts that papers report."""

import math
import re
from typing import Any

import jax

PARTS = (  # the first pattern found in a parameter's path decides
    ("encoder", r"\.encoder\b|\.pool\b"),
    ("decoder", r"\.decoder\b|\.unpool\b|\.first\b|\.head\b"),
    ("backbone", r"\.backbone\b"),
    ("encoder", r"\.table\b"),
)


def count_params(model: Any) -> dict[str, int]:
    """Parameters of a model, or of its shapes from `jax.eval_shape`.

    Returns:
      Counts for `encoder` (with the embedding table), `backbone` and `decoder` (with the read-out), and `total`.
    """
    counts: dict[str, int] = dict.fromkeys(("encoder", "backbone", "decoder"), 0)
    for path, leaf in jax.tree_util.tree_flatten_with_path(model)[0]:
        name = jax.tree_util.keystr(path)
        part = next(part for part, pattern in PARTS if re.search(pattern, name))
        counts[part] += math.prod(leaf.shape)
    return {**counts, "total": sum(counts.values())}
