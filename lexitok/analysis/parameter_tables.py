"""The parameters of a model: counts by part, and the whole tree to look into."""

import math
from typing import Any

import jax
import treescope

from lexitok.made import is_made
from lexitok.models.counting import count_params
from lexitok.parameter_names import leaf_name


def parameters_table(model: Any) -> str:
    """A Markdown table of the parameters of each part, as papers report them, and their share.

    Args:
      model: a model, or its shapes from `jax.eval_shape`.
    """
    counts = count_params(model)
    lines = ["| part | parameters | share |", "|---|---:|---:|"]
    for part, count in counts.items():
        lines.append(f"| {part} | {count:,} | {100 * count / max(counts['total'], 1):.1f}% |")
    return "\n".join(lines) + "\n"


def array_table(model: Any) -> str:
    """A Markdown table of the arrays of parameters: name, shape, dtype and how many. Stacks of layers are one each."""
    lines = ["| array | shape | dtype | parameters |", "|---|---|---|---:|"]
    for path, leaf in jax.tree_util.tree_flatten_with_path(model)[0]:
        if is_made(leaf_name(path)):
            continue
        shape = " × ".join(map(str, leaf.shape))
        lines.append(f"| {leaf_name(path)} | {shape} | {leaf.dtype} | {math.prod(leaf.shape):,} |")
    return "\n".join(lines) + "\n"


def render_tree(tree: Any) -> str:
    """The tree as HTML that unfolds on clicking (treescope): modules, arrays, configs."""
    return treescope.render_to_html(tree)
