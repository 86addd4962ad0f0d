"""The letters of a parameter's axes, which say all that is done with it: how it is split, decayed, orthogonalised.

A parameter is made with them (`lexitok.nn.parameters`) and carries them in its metadata, `axes="L D F"`, so that
whatever mirrors a model, as gradients, moments and averages do, has them too. In order they say what it is: stacks
first, then what its rows are, if they are no width (symbols, slots, taps), then the width that goes in and the width
that comes out.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx

from lexitok.made import PREFIX, Made, is_made
from lexitok.parameter_names import leaf_name

STACKS = {"L": "layers of a stack", "O": "offsets from where a unit's vector changes, a matrix each"}
ROWS = {"V": "symbols, or buckets that stand for them", "P": "slots", "C": "taps of a convolution"}
WIDTHS = {
    "D": "a stack's or the backbone's width",
    "E": "local width, where it meets the backbone's",
    "F": "feed-forward width",
    "H": "heads",
    "K": "key and value heads, or groups that heads share",
    "N": "width of a head",
}
HEADS = "HK"  # these and the N behind them are one width: that of all heads together


class AxesError(ValueError):
    """A parameter without the letters of its axes, or with letters that are not its own; says which, and what to do."""


class Kind(NamedTuple):
    """What the axes make of a parameter: axes of `stacks`, of `rows`, and of each width, counted from the left."""

    stacks: tuple[int, ...]
    rows: tuple[int, ...]
    widths: tuple[tuple[int, ...], ...]

    @property
    def is_matrix(self) -> bool:
        """A map between two widths, one for each entry of the stacks."""
        return len(self.widths) == 2 and not self.rows

    @property
    def is_vector(self) -> bool:
        """A norm, a bias or another single learned vector, of one width and of whatever rank, or a scalar."""
        return len(self.rows) + len(self.widths) < 2


def kind_of(axes: str) -> Kind:
    """What a parameter with these axes is: `"L H N D"` is a matrix from all heads to `D` for each layer.

    Raises:
      AxesError: an unknown letter, or letters in another order than stacks, rows, widths.
    """
    letters = axes.split()
    unknown = [a for a in letters if a not in STACKS | ROWS | WIDTHS]
    if unknown:
        known = ", ".join(f"{a} ({what})" for a, what in (STACKS | ROWS | WIDTHS).items())
        raise AxesError(f"axes '{axes}': there is no {', '.join(unknown)}; there are {known}")
    stacks = tuple(i for i, a in enumerate(letters) if a in STACKS)
    rows = tuple(i for i, a in enumerate(letters) if a in ROWS)
    widths: list[tuple[int, ...]] = []
    for i, a in enumerate(letters):
        if a == "N" and i and letters[i - 1] in HEADS:
            widths[-1] += (i,)
        elif a in WIDTHS:
            widths.append((i,))
    if (*stacks, *rows, *(i for width in widths for i in width)) != tuple(range(len(letters))):
        raise AxesError(f"axes '{axes}': stacks ({' '.join(STACKS)}) come first, then rows ({' '.join(ROWS)}), widths")
    if len(rows) > 1 or len(widths) > 2:
        raise AxesError(f"axes '{axes}': a parameter has one kind of rows at most, and two widths")
    return Kind(stacks, rows, tuple(widths))


def axes_of(variable: nnx.Variable, name: str = "") -> str:
    """The axes of a parameter; those of a scalar are empty.

    Raises:
      AxesError: it was made without them.
    """
    axes = variable.get_metadata().get("axes")
    if axes is None:
        raise AxesError(f"parameter {name} does not say what its axes are: make it with lexitok.nn.parameters")
    return axes


def axes_by_name(tree: Any) -> dict[str, str]:
    """The axes of every parameter of a model, by its dotted name; what is made (`lexitok.made`) has none."""
    found = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda node: isinstance(node, nnx.Variable))[0]
    parameters = [(leaf_name(path), x) for path, x in found if isinstance(x, nnx.Variable) and not isinstance(x, Made)]
    return {name: axes_of(x, name) for name, x in parameters}


def map_with_axes(function: Callable[[str | None, Any], Any], tree: Any) -> Any:
    """`tree` with every leaf replaced by `function(axes, leaf)`.

    What is no parameter has None for its axes: a count of steps, and what is made (`lexitok.made`).

    Args:
      function: of the axes' letters and a leaf.
      tree: a model, or what mirrors one: gradients, moments, averages, a state with any of them.

    Raises:
      AxesError: a parameter without axes, or of another rank than they say, or something made without the name of
        it; names it.
    """

    def one(path: Any, node: Any) -> Any:
        if not isinstance(node, nnx.Variable):
            return function(None, node)
        name = leaf_name(path)
        if isinstance(node, Made) != is_made(name):  # by its name it is left out of checkpoints
            raise AxesError(f"{name}: names of what lexitok.made makes, and no others, begin with {PREFIX}: rename it")
        if isinstance(node, Made):
            return jax.tree.map(lambda leaf: function(None, leaf), node)
        axes = axes_of(node, name)
        for leaf in jax.tree.leaves(node):
            if hasattr(leaf, "shape") and len(leaf.shape) != len(axes.split()):
                raise AxesError(f"parameter {name} has shape {leaf.shape}, and its axes are '{axes}'")
        return jax.tree.map(lambda leaf: function(axes, leaf), node)

    return jax.tree_util.tree_map_with_path(one, tree, is_leaf=lambda node: isinstance(node, nnx.Variable))


def stacked(tree: Any, letter: str = "L") -> Any:
    """The tree of a module that was made several times by `jax.vmap`: its parameters have an axis more in front."""

    def more(node: Any) -> Any:
        if not isinstance(node, nnx.Variable) or isinstance(node, Made):
            return node
        return type(node)(node.get_value(), axes=f"{letter} {axes_of(node)}".strip())

    return jax.tree.map(more, tree, is_leaf=lambda node: isinstance(node, nnx.Variable))
