"""Losses between models of different tokenizers, compared: students that differ in nothing else."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from lexitok.analysis.arm_runs import Plan, run_arm
from lexitok.analysis.arms import make_arms
from lexitok.analysis.paired import spread
from lexitok.config.files import load_config
from lexitok.data import markov
from lexitok.data.sources import open_source
from lexitok.distill.losses import LOSSES
from lexitok.runs.run import Run
from lexitok.training.ahead_of_time import abstract_batch
from lexitok.training.flops import training_flops
from lexitok.training.setup import make_setup
from lexitok.training.weighting import WEIGHTINGS

TEXT = "text"  # no loss but the text's own nats
_SPEC = re.compile(r"(?P<losses>\w+(\+\w+)*)(/(?P<weighting>\w+))?")


def loss_changes(spec: str) -> list[str]:
    """What an arm sets in a config whose objective is the nats of the text alone.

    Args:
      spec: `text`, or names of losses that are added to it, as `alm+hidden_states`, and behind a `/` how all are
        weighed, as `alm/gradmag`.

    Raises:
      ValueError: there is no such loss or weighting.
    """
    found = _SPEC.fullmatch(spec)
    names = [] if found is None or found["losses"] == TEXT else found["losses"].split("+")
    unknown = [name for name in names if name not in LOSSES]
    weighting = "fixed" if found is None else found["weighting"] or "fixed"
    if found is None or unknown or weighting not in WEIGHTINGS:
        raise ValueError(
            f"'{spec}' names no losses: write {TEXT}, or as alm+hidden_states/gradmag; there are {', '.join(LOSSES)}, "
            f"and the weightings {', '.join(WEIGHTINGS)}"
        )
    changes = [f"objective.losses.{name}.weight=1.0" for name in names]
    if "hidden_states" in names:  # of whatever widths
        changes.append("objective.losses.hidden_states.project=True")
    return [*changes, f"objective.weighting.kind={weighting}"]


def compare_losses(
    teacher: str, student: str, losses: Sequence[str], plan: Plan, *, changes: Sequence[str] = (), equal: bool = True
) -> list[Run]:
    """Runs of one student by each of some losses, each at its own best rate; what is there already is not done again.

    Args:
      teacher: directory of its run.
      student: variants of `configs/distill.py`, as `bytes` or `bytes,tiny`.
      losses: see `loss_changes`.
      plan: what every arm goes through; runs are in a folder for each.
      changes: assignments to every config.
      equal: whether the text alone is also learnt from for as many FLOPs as the dearest of the losses takes.
    """
    makers = {spec: _maker(teacher, student, spec, changes) for spec in losses}
    runs = [run for spec, make in makers.items() for run in run_arm(make, _folder(spec), plan)]
    if not equal:
        return runs
    alone = _maker(teacher, student, TEXT, changes, name=f"{student} {TEXT} for as many FLOPs")
    ratio = max(map(_flops, makers.values())) / _flops(alone)
    longer = Plan(plan.out, plan.sweep_steps, plan.steps * ratio, plan.rates, plan.seeds, plan.probe_bytes)
    return runs + run_arm(alone, f"{TEXT}_for_as_many_flops", longer)


def _maker(teacher: str, student: str, spec: str, changes: Sequence[str], name: str = "") -> Callable[[], ConfigDict]:
    every = [*loss_changes(spec), f"name={name or f'{student} {spec}'}", *changes]
    return lambda: load_config(f"configs/distill.py:{teacher},{student},{TEXT}", every)


def _folder(spec: str) -> str:
    return spec.replace("/", "_by_")


def _flops(make: Callable[[], ConfigDict]) -> float:
    """Of a step."""
    setup = make_setup(make())
    return training_flops(setup, abstract_batch(setup))


def arm_folder(out: Path, student: str) -> Path:
    """Where the runs of a student are."""
    return out / student.replace(",", "_")


def above_source(runs: Sequence[Run]) -> str | None:
    """What each arm has yet to learn of a source whose probabilities are known, as a table.

    It is how many nats a byte more than the source itself a model gives the documents of its last evaluation: the mean
    over seeds, and the smallest and largest.

    Args:
      runs: arms, each of some seeds.

    Returns:
      None where the text is not of the source `markov`.
    """
    arms = make_arms(runs)
    lines = ["| run | nats a byte above the source | of seeds |", "|---|---:|---|"]
    for arm in arms:
        if any(run.config.data.source != "markov" for run in arm.runs):
            return None
        found = spread([_above(run) for run in arm.runs])
        lines.append(f"| {arm.name} | {found.mean:.4f} | {found.low:.4f}..{found.high:.4f} ({found.n}) |")
    return "\n".join(lines)


def _above(run: Run) -> float:
    c, scores = run.config, run.documents()
    if scores is None:
        raise ValueError(f"{run.path} has no scores of documents")
    corpus = open_source(c.data.source, c.data.validation_split, cache=c.data.cache, field=c.data.field)
    own = [markov.nats(document.data) for document in corpus.documents(c.eval.bytes)]
    return float((scores.nats.sum() - sum(own)) / scores.bytes.sum())
