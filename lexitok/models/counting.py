"""Counting parameters, in the parts that papers report."""

import math
import re
from typing import Any

import jax

PARTS = (  # the first pattern found in a parameter's path decides
    ("frozen", r"\.frozen_"),
    ("backbone", r"^(\.stage)?\.backbone\b"),
    ("decoder", r"\.decoder\b|\.unpool\b|\.first\b|\.head\b"),
    ("encoder", r"\.encoder\b|\.pool\b|\.router\b|\.additions\b|\.slots\b|\.table\b"),
)


def count_params(model: Any) -> dict[str, int]:
    """Parameters of a model, or of its shapes from `jax.eval_shape`.

    Returns:
      Counts for `encoder` (with embeddings, pool and router), `backbone` and `decoder` (with the read-out), and their
      `total`; `frozen`, not in it, where there is something that was trained before and stays as it is.
    """
    counts: dict[str, int] = dict.fromkeys(("encoder", "backbone", "decoder"), 0)
    frozen = 0
    for path, leaf in jax.tree_util.tree_flatten_with_path(model)[0]:
        name = jax.tree_util.keystr(path)
        part = next(part for part, pattern in PARTS if re.search(pattern, name))
        if part == "frozen":
            frozen += math.prod(leaf.shape)
        else:
            counts[part] += math.prod(leaf.shape)
    return {**counts, "total": sum(counts.values()), **({"frozen": frozen} if frozen else {})}
