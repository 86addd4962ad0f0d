"""How fast the models of several runs train and write, measured in turn, so that all meet the same machine."""

import dataclasses
import logging
import statistics
from collections.abc import Sequence

import jax

from lexitok.analysis.decode_speed import decode_speed
from lexitok.analysis.step_speed import measure_step
from lexitok.runs.load import load_model, validation_documents
from lexitok.runs.run import Run

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ArmSpeed:
    """Raw bytes a second, a number a round.

    Attributes:
      name: of the arm.
      train: of a training step, the median over its steps.
      decode: of one text that is written through the caches.
    """

    name: str
    train: tuple[float, ...]
    decode: tuple[float, ...]


def measure_arms(runs: Sequence[Run], *, rounds: int, steps: int = 8) -> list[ArmSpeed]:
    """Measures every run once a round, one after another.

    Medians are put into each run's `result.json`, as `train_bytes_per_second` and `decode_bytes_per_second`.

    Args:
      runs: finished runs.
      rounds: how often.
      steps: training steps of a measurement.
    """
    train: list[list[float]] = [[] for _ in runs]
    decode: list[list[float]] = [[] for _ in runs]
    for turn in range(rounds):
        for i, run in enumerate(runs):
            train[i].append(_train_speed(run, steps))
            decode[i].append(_decode_speed(run))
            jax.clear_caches()
            log.info("round %d, %s: trains %.0f B/s, writes %.0f B/s", turn, run.name, train[i][-1], decode[i][-1])
    for run, trained, decoded in zip(runs, train, decode, strict=True):
        run.add_result("train_bytes_per_second", statistics.median(trained))
        run.add_result("decode_bytes_per_second", statistics.median(decoded))
    return [ArmSpeed(run.name, tuple(t), tuple(d)) for run, t, d in zip(runs, train, decode, strict=True)]


def speeds_table(speeds: Sequence[ArmSpeed]) -> str:
    """A Markdown table: medians, and ratios to the first arm of the same round with their range."""
    first = speeds[0]
    head = "| run | train bytes/s | to the first | decode bytes/s | to the first |\n|---|---:|---:|---:|---:|\n"
    lines = (
        f"| {speed.name} | {statistics.median(speed.train):.0f} | {_ratios(speed.train, first.train)} "
        f"| {statistics.median(speed.decode):.0f} | {_ratios(speed.decode, first.decode)} |\n"
        for speed in speeds
    )
    return head + "".join(lines)


def _ratios(values: Sequence[float], reference: Sequence[float]) -> str:
    ratios = [value / other for value, other in zip(values, reference, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"


def _train_speed(run: Run, steps: int) -> float:
    speed = measure_step(run.config, steps=steps)
    return speed.bytes_per_step / statistics.median(speed.seconds)


def _decode_speed(run: Run) -> float:
    model, encoder = load_model(run)
    return decode_speed(model, encoder, max(validation_documents(run), key=len)).cached
