"""Under which names a train state's arrays lie in a checkpoint.

They lie under the names that they have in the state, but what is trained is called `model`. Left out is what is made
again with the model (`lexitok.made`), and what is fixed and comes from another run (`lexitok.runs.origin`). In older
runs `model` and `ema` held what was fixed, too, and the optimizer's state lay deeper. Trees that are no train state
have their own names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lexitok.made import without_made
from lexitok.parameter_names import names, nested
from lexitok.runs.origin import Origin
from lexitok.runs.parameters import is_in

_FIXED = "fixed.model."
_OPTIMIZER, _OLDER_OPTIMIZER = "optimizer.", "optimizer.inner_states.trained.inner_state."


def stored_names(leaves: Mapping[str, Any], origins: Sequence[Origin] | None) -> dict[str, str]:
    """From the names of a state's leaves to those in a checkpoint, of the leaves that it holds.

    Args:
      leaves: of the state, by dotted name.
      origins: of what is fixed; None: an older run, whose checkpoints hold it.
    """
    leaves = without_made(leaves)
    if not any(name.startswith("trained.") for name in leaves):
        return {name: name for name in leaves}
    found = {name: _stored(name, older=origins is None) for name in leaves}
    left_out = [name for name in found if origins is not None and is_from_elsewhere(name, origins)]
    return {name: stored for name, stored in found.items() if name not in left_out}


def to_store(tree: Mapping[str, Any], origins: Sequence[Origin]) -> dict[str, Any]:
    """What a checkpoint holds of a state, as nested dicts; `tree` is the state as nested dicts."""
    leaves = names(tree)
    return nested({stored: leaves[name] for name, stored in stored_names(leaves, origins).items()})


def to_restore(tree: Mapping[str, Any], origins: Sequence[Origin] | None) -> dict[str, Any]:
    """What is to be asked of a checkpoint for a state of the shapes in `tree`."""
    leaves = without_made(names(tree))
    wanted = {stored: leaves[name] for name, stored in stored_names(leaves, origins).items()}
    if origins is None and any(name.startswith("ema.") for name in leaves):  # it averaged what was fixed, too
        fixed = [name for name in leaves if name.startswith(_FIXED)]
        wanted |= {f"ema.{name.removeprefix(_FIXED)}": leaves[name] for name in fixed}
    return nested(wanted)


def from_stored(stored: Mapping[str, Any], tree: Mapping[str, Any], origins: Sequence[Origin] | None) -> dict[str, Any]:
    """The leaves of a state of the shapes in `tree`, by name, that a checkpoint holds."""
    found = names(stored)
    return {name: found[place] for name, place in stored_names(names(tree), origins).items()}


def is_from_elsewhere(name: str, origins: Sequence[Origin]) -> bool:
    """Whether a leaf of a state is fixed and comes from one of these origins."""
    places = ((f"fixed.{origin.of}.", origin.at) for origin in origins)
    return any(name.startswith(tree) and is_in(at, name.removeprefix(tree)) for tree, at in places)


def _stored(name: str, *, older: bool) -> str:
    if name.startswith("trained."):
        return "model." + name.removeprefix("trained.")
    if older and name.startswith(_FIXED):
        return "model." + name.removeprefix(_FIXED)
    if older and name.startswith(_OPTIMIZER):
        return _OLDER_OPTIMIZER + name.removeprefix(_OPTIMIZER)
    return name
