"""Metrics on their way from the device to the host.

`Late` reads them one step late, so that no step waits for a number; `FiniteGuard` stops a run that has broken.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax


class NonFiniteError(FloatingPointError):
    """A metric became infinite or not a number; the message names it and the steps between which it did."""


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
