"""Arms of a comparison: runs that differ in nothing but their seed are one arm, and one row of a table."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, TypeGuard

from lexitok.analysis.paired import Difference, PairingError, Spread, difference, mean_scores, spread
from lexitok.config.files import to_json
from lexitok.runs.documents import DocumentScores
from lexitok.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Arm:
    """Runs of one name and one config but for its seed, each of another seed.

    Attributes:
      name: of the runs; their directories if there are other arms of that name.
      runs: at least one.
    """

    name: str
    runs: tuple[Run, ...]

    def numbers(self, key: str) -> list[float]:
        """A result of every run; empty unless all have it."""
        values = [run.result.get(key) for run in self.runs]
        known = [float(value) for value in values if is_number(value)]
        return known if len(known) == len(values) else []

    def spread(self, key: str) -> Spread | None:
        """A result over the runs; None unless all have it."""
        values = self.numbers(key)
        return spread(values) if values else None

    def documents(self) -> DocumentScores | None:
        """Scores by document, the mean over the runs; None unless all have them.

        Raises:
          PairingError: the runs were evaluated on different documents. DocumentsError: a damaged file.
        """
        scores = [run.documents() for run in self.runs]
        present = [s for s in scores if s is not None]
        return mean_scores(present) if len(present) == len(scores) else None


def make_arms(runs: Sequence[Run]) -> list[Arm]:
    """Groups runs, arms in the order of their first run.

    Runs that have even their seed in common are no sample of anything: each is an arm of its own.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    split: list[list[Run]] = []
    for group in groups.values():
        seeds = {run.config.get("seed") for run in group}
        split += [group] if len(seeds) == len(group) else [[run] for run in group]
    names = [group[0].name for group in split]
    return [Arm(_name(group, names), tuple(group)) for group in split]


def versus(arm: Arm, first: Arm) -> Difference | str | None:
    """Bits per byte of an arm less those of another, paired by document; None without such scores, or why not."""
    try:
        a, b = arm.documents(), first.documents()
        return None if a is None or b is None else difference(a, b)
    except PairingError as error:
        return f"{arm.name} and {first.name} cannot be paired: {error}"


def is_number(value: Any) -> TypeGuard[int | float]:
    """A finite number, as results are; not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _key(run: Run) -> str:
    config = json.loads(to_json(run.config))
    config.pop("seed", None)
    return json.dumps([run.name, config], sort_keys=True)


def _name(group: Sequence[Run], names: Sequence[str]) -> str:
    if names.count(group[0].name) == 1:
        return group[0].name
    return str(group[0].path) + (f" and {len(group) - 1} more" if len(group) > 1 else "")
