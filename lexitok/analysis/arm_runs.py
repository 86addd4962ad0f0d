"""Many arms on one text: a sweep of learning rates for each, a longer run with the best, and what is measured of it."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from ml_collections import ConfigDict

from lexitok.analysis.evaluating import probe_run
from lexitok.config import asking_router
from lexitok.config.files import load_config
from lexitok.runs.run import Run, read_run
from lexitok.training.loop import train

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every arm goes through.

    Attributes:
      out: folder; an arm's runs are in a folder of its name.
      sweep_steps: of each run of the sweep.
      steps: of each longer run.
      rates: learning rates that are tried; with a single one, nothing is swept.
      seeds: how many longer runs.
      probe_bytes: of validation documents, for the robustness probe; 0: none.
    """

    out: Path
    sweep_steps: float | int
    steps: float | int
    rates: tuple[float, ...]
    seeds: int
    probe_bytes: int


def run_arm(make_config: Callable[[], ConfigDict], arm: str, plan: Plan) -> list[Run]:
    """Runs an arm; what is there already is not done again.

    Args:
      make_config: its config.
      arm: its name.
      plan: what to do.

    Returns:
      The longer runs, with `robustness` in their results if there is a probe.
    """
    folder = plan.out / arm
    rate = plan.rates[0]
    if len(plan.rates) > 1:
        swept = {lr: _run(make_config(), folder / f"rate_{lr:g}", plan.sweep_steps, lr, 0) for lr in plan.rates}
        rate = min(swept, key=lambda lr: swept[lr].result["bpb"])
        log.info("%s: best rate %g of %s", arm, rate, {lr: round(r.result["bpb"], 4) for lr, r in swept.items()})
    runs = []
    for seed in range(plan.seeds):
        where = folder / f"seed_{seed}"
        run = _run(make_config(), where, plan.steps, rate, seed)
        if plan.probe_bytes and "robustness" not in run.result:
            run.add_result("robustness", probe_run(run, max_bytes=plan.probe_bytes))
        runs.append(read_run(where))
        jax.clear_caches()
    return runs


def best_rate(folder: Path) -> float:
    """The rate that an arm's longer runs were made with."""
    return read_run(next(iter(sorted(folder.glob("seed_*"))))).config.optimizer.lr


def config_maker(spec: str, changes: Sequence[str], out: Path) -> Callable[[], ConfigDict]:
    """A function that loads a config with changes. Where its router asks a model, that of `out` is trained first.

    Args:
      spec: `path.py:variant`.
      changes: assignments, see `override`.
      out: folder of that model's run.
    """
    first = load_config(spec, changes)
    asking = asking_router(first)
    if asking is not None and not asking[1].run:
        changes = [*changes, f"model.{asking[0]}.run={_entropy_run(out / 'entropy_lm', changes)}"]
    return lambda: load_config(spec, changes)


def _entropy_run(where: Path, changes: Sequence[str]) -> Path:
    """The run of the small model that BLT's router asks; it is trained if it is not there."""
    if not (where / "result.json").exists():
        train(load_config("configs/entropy_lm.py:tiny", changes), where)
    return where


def _run(config: ConfigDict, workdir: Path, steps: float | int, rate: float, seed: int) -> Run:
    if not (workdir / "result.json").exists():
        config.train.steps = max(2, round(steps))
        config.train.checkpoint_every = config.train.eval_every = config.train.steps
        config.optimizer.lr, config.seed = rate, seed
        train(config, workdir)
        jax.clear_caches()
    return read_run(workdir)


def arms_of(arms: dict[str, str], chosen: Sequence[str]) -> list[str]:
    """The arms that are named, or all.

    Raises:
      ValueError: there is no such arm; lists those that there are.
    """
    for name in chosen:
        if name not in arms:
            raise ValueError(f"there is no arm '{name}'; there are {', '.join(arms)}")
    return list(chosen) or list(arms)
