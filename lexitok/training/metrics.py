"""Metrics on their way from the device to the host.

`Late` reads them one step late, so that no step waits for a number; `FiniteGuard` stops a run that has broken.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from lexitok.text.bits import bits_per_byte


class NonFiniteError(FloatingPointError):
    """A metric became infinite or not a number; the message names it and the steps between which it did."""


_OF_LOSSES = ("_loss", "_weight", "_gradient")


def averages(total: Mapping[str, float], steps: int) -> dict[str, float]:
    """What a log says of sums over steps.

    Args:
      total: sums of an objective, by name: `loss` and whatever ends in `_loss`, `_weight` or `_gradient` are sums over
        targets (`weights`); `nats` are of the raw text of `bytes`; `right` counts targets, as do `aligned` and
        `one_to_one`, those in spans of two tokenisations; `units` and `router_...` are what models count.
      steps: how many.
    """
    weights, found = total["weights"], {"grad_norm": total["grad_norm"] / steps}
    units = "units" in total
    losses = [name for name in total if name == "loss" or name.endswith(_OF_LOSSES)]
    found |= {name: total[name] / weights for name in losses if units or name != "extra_loss" or total[name]}
    if "nats" in total:
        found["bpb"] = bits_per_byte(total["nats"], total["bytes"])
    if "right" in total:
        found["accuracy"] = total["right"] / weights
    found |= {name: x / weights for name, x in total.items() if name.endswith(("aligned", "one_to_one"))}
    return found | (_of_units(total) if units else {})


def _of_units(total: Mapping[str, float]) -> dict[str, float]:
    """Bytes of units, and the fraction of them for which rows had no room."""
    values = {"bytes_per_unit": total["bytes"] / max(total["units"], 1.0)}
    for name in ("units_dropped", "inner_units_dropped"):
        if name in total:
            found = total[name] + total[name.removesuffix("_dropped")]
            values[name] = total[name] / max(found, 1.0)
    if "inner_units" in total:
        values["bytes_per_inner_unit"] = total["bytes"] / max(total["inner_units"], 1.0)
    if "router_seen" in total:
        values["router_accuracy"] = total["router_right"] / max(total["router_seen"], 1.0)
    return values


class Late:
    """Holds the metrics of one step until those of the next have been dispatched."""

    def __init__(self) -> None:
        self._pending: tuple[int, Any] | None = None

    def push(self, step: int, metrics: Any) -> tuple[int, Any] | None:
        """Takes device values of `step`; returns the step pushed before and its values on the host, if any."""
        ready = self.flush()
        self._pending = (step, metrics)
        return ready

    def flush(self) -> tuple[int, Any] | None:
        """What is pending, on the host, if anything; to be called before a checkpoint, and at the end."""
        pending, self._pending = self._pending, None
        return None if pending is None else (pending[0], jax.device_get(pending[1]))


class FiniteGuard:
    """Checks that watched metrics are finite."""

    def __init__(self, names: Iterable[str] = ("loss", "grad_norm"), *, start: int = 0):
        """`start`: the step that the run starts or resumes from, known to be good."""
        self.names = tuple(names)
        self.good = start

    def check(self, step: int, values: Mapping[str, Any]) -> None:
        """Checks the metrics of a step.

        Raises:
          NonFiniteError: one of them is infinite or not a number.
        """
        bad = [f"{name}={float(values[name])}" for name in self.names if not math.isfinite(float(values[name]))]
        if bad:
            raise NonFiniteError(
                f"{', '.join(bad)} at step {step}; all was finite at step {self.good}, so it broke in steps "
                f"{self.good + 1} to {step}. Start another run from its checkpoint (train.start.run) with "
                "a lower optimizer.lr, a longer optimizer.warmup or a smaller optimizer.clip, or look at the data of "
                "these steps."
            )
        self.good = step
