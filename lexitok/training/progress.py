"""How far a run is: a bar on a terminal; elsewhere, a line now and then."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import rich.progress
from rich.console import Console

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Shows steps and a few numbers on stderr, as a context manager."""

    def __init__(self, steps: int, *, start: int = 0, name: str = "train", console: Console | None = None):
        """`start`: the step that a resumed run goes on from. Of several processes the first shows it (`Silent`)."""
        self.steps = steps
        self.start = start
        self.name = name
        self._console = console or Console(stderr=True)
        self._began = time.monotonic()
        self._last_line = -SECONDS_BETWEEN_LINES
        self._bar = _bar(self._console) if self._console.is_terminal else None
        self._task = self._bar.add_task(name, total=steps, completed=start, note="") if self._bar else None

    def update(self, step: int, values: Mapping[str, Any] | None = None) -> None:
        """Shows that `step` steps are done, with `values` beside it."""
        note = "  ".join(f"{name} {_short(value)}" for name, value in (values or {}).items())
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step)
            if values:
                self._bar.update(self._task, note=note)
            return
        passed = time.monotonic() - self._began
        if values and (passed - self._last_line >= SECONDS_BETWEEN_LINES or step >= self.steps):
            self._last_line = passed
            done = max(step - self.start, 1)
            left = passed / done * max(self.steps - step, 0)
            line = f"{self.name} {step}/{self.steps}  {note}  {passed:.0f} s, {left:.0f} s left"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class Silent(Progress):
    """Shows nothing: for all processes of a run but the first."""

    def __init__(self, steps: int, *, start: int = 0, name: str = "train"):
        super().__init__(steps, start=start, name=name, console=Console(quiet=True))


def _bar(console: Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[note]}"),
        console=console,
    )


def _short(value: Any) -> str:
    number = float(value)
    return f"{number:.0f}" if number == int(number) and abs(number) < 1e6 else f"{number:.4g}"
