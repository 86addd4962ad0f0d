"""What of a run's config may be another when the run goes on. All else is as it began: weights are known by it."""

import fnmatch
from typing import Any

from ml_collections import ConfigDict

from lexitok.config.files import diff

MAY_CHANGE = (
    "name",
    # how long the run is, and what it writes down
    "train.steps",
    "train.log_every",
    "train.eval_every",
    "train.checkpoint_every",
    "train.keep",
    "eval.*",
    "data.validation_split",
    # where and how the same numbers are computed
    "data.cache",
    "data.workers",
    "mesh.*",
    "objective.chunk",
    "*.remat",
    "*.attention",
    "*.compute_dtype",
    # where a vocabulary and a font came from: fingerprints say whether they are the same
    "text.vocabulary.path",
    "text.vocabulary.train_bytes",
    "*.font",
)


Changes = dict[str, tuple[Any, Any]]


def changes(recorded: ConfigDict, config: ConfigDict) -> tuple[Changes, Changes]:
    """What differs between the config that a run has and the one that it is to go on with.

    Returns:
      Old and new values by dotted key: of what may change, and of what may not.
    """
    differing = diff(recorded, config)
    free = {key: values for key, values in differing.items() if may_change(key)}
    return free, {key: values for key, values in differing.items() if key not in free}


def may_change(key: str) -> bool:
    """Whether the value of a dotted key may be another when a run goes on."""
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in MAY_CHANGE)
