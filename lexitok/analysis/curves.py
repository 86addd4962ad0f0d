"""Labelled lines in panels side by side, with bands of error and levels to compare with."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, MaxNLocator

from lexitok.analysis.plots import COLOURS, STYLES, legend_below


@dataclasses.dataclass(frozen=True)
class Line:
    """A line `y` against `x`, `[n]` each; where `y` is NaN there is a gap.

    Attributes:
      label: lines of one label have one colour in all panels, and one entry in the legend.
      x, y: the points.
      error: None, or the half width of a band around the line, `[n]`.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Panel:
    """Lines with one pair of axes.

    Attributes:
      lines: what is drawn.
      title, x, y: of the panel and of its axes.
      x_scale, y_scale: `linear` or `log`; ticks of a logarithmic `x` are powers of 2.
      levels: grey horizontal lines, by their names.
      baselines: grey lines that are not level.
    """

    lines: Sequence[Line]
    title: str
    x: str
    y: str
    x_scale: str = "linear"
    y_scale: str = "linear"
    levels: dict[str, float] = dataclasses.field(default_factory=dict)
    baselines: Sequence[Line] = ()


def curves_figure(panels: Sequence[Panel]) -> Figure:
    """The panels side by side, with one legend below.

    Raises:
      ValueError: there are no panels.
    """
    if not panels:
        raise ValueError("there are no panels to draw")
    figure = Figure(figsize=(4.6 * len(panels), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    labels = list(dict.fromkeys(line.label for panel in panels for line in panel.lines))
    handles: dict[str, Any] = {}
    for axes, panel in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        for line in panel.lines:
            handles.setdefault(line.label, _draw(axes, line, labels.index(line.label)))
        _background(axes, panel)
    if handles:
        legend_below(figure, list(handles.values()), labels)
    return figure


def _draw(axes: Axes, line: Line, number: int) -> Any:
    style: dict[str, Any] = {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": STYLES[number // len(COLOURS) % len(STYLES)],
    }
    if line.error is not None:
        axes.fill_between(
            line.x, line.y - line.error, line.y + line.error, color=style["color"], alpha=0.2, linewidth=0
        )
    return axes.plot(line.x, line.y, **style, marker="o" if len(line.x) < 40 else None, markersize=3)[0]


def _background(axes: Axes, panel: Panel) -> None:
    if panel.x_scale == "log":
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    elif all(np.all(line.x == np.round(line.x)) for line in panel.lines):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yscale(panel.y_scale)
    for name, level in panel.levels.items():
        axes.axhline(level, color="0.35", linestyle=":", linewidth=1)
        axes.annotate(
            f"{name} {level:.3g}", (0.01, level), xycoords=("axes fraction", "data"), va="bottom", color="0.25"
        )
    for line in panel.baselines:
        axes.plot(line.x, line.y, color="0.35", linestyle=":", linewidth=1)
        axes.annotate(line.label, (line.x[-1], line.y[-1]), va="bottom", ha="right", color="0.25")
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    axes.grid(alpha=0.3)
