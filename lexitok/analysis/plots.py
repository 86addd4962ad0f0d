"""Plots, as figures that need no display: `save` writes a PNG, `to_png` is for notebooks."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lexitok.analysis.arms import make_arms
from lexitok.runs.run import Run

# Okabe and Ito's colours, which readers with any kind of colour vision can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")  # when colours are used up
REFERENCES = (("order0", "order 0", ":"), ("gzip", "gzip", "--"), ("xz", "xz", "-."))


def bpb_figure(runs: Sequence[Run]) -> Figure:
    """Bits per byte against bytes seen and against wall-clock, with gzip and xz on the evaluated bytes.

    Lines with dots are evaluations; pale lines are training batches. Runs of one arm have one colour; the legend gives
    the last evaluation of the first.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    scale, unit = _time_unit(runs)
    _panel(left, runs, "bytes", 1e-6)
    _panel(right, runs, "seconds", scale)
    left.set(xlabel="training bytes seen (MB)", ylabel="bits per byte (lower is better)", title="by bytes")
    right.set(xlabel=f"wall-clock ({unit})", title="by time")
    low, high = _limits(runs)
    if math.isfinite(high):
        left.set_ylim(low, high)
    _references(left, right, runs)
    if runs:
        legend_below(figure, *left.get_legend_handles_labels())
    return figure


def learning_curves(run: Run) -> Figure:
    """Bits per byte, loss, learning rate and gradient norm of one run by step: those that it logged."""
    wanted = (
        (("train/bpb", "eval/bpb"), "bits per byte"),
        (("train/loss",), "loss (nats a symbol)"),
        (("train/lr", "train/learning_rate"), "learning rate"),
        (("train/grad_norm",), "gradient norm"),
    )
    panels = [(keys, title) for keys, title in wanted if any(len(run.series(key)[0]) for key in keys)]
    figure = Figure(figsize=(3.6 * max(len(panels), 1), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (keys, title) in zip(np.ravel(figure.subplots(1, max(len(panels), 1))), panels, strict=False):
        present = [key for key in keys if len(run.series(key)[0])]
        for colour, key in zip(COLOURS, present, strict=False):
            x, y = run.series(key)
            axes.plot(x, y, color=colour, marker="o" if len(x) < 20 else None, markersize=3, label=key)
        axes.set(xlabel="step", title=title)
        axes.grid(alpha=0.3)
        if len(present) > 1:
            axes.legend()
    return figure


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], *, most: int = 4) -> None:
    """A legend under all panels, in as many columns as the figure is wide enough for, `most` at most; at least one."""
    canvas = FigureCanvasAgg(figure)
    for columns in range(min(len(labels), most), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small")
        if columns == 1 or legend.get_window_extent(canvas.get_renderer()).width <= figure.bbox.width:
            return
        legend.remove()


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a PNG; makes its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_png(figure))
    return path


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150)
    return out.getvalue()


def _panel(axes: Axes, runs: Sequence[Run], x: str, scale: float) -> None:
    for i, arm in enumerate(make_arms(runs)):
        style: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": STYLES[i // len(COLOURS) % len(STYLES)],
        }
        for n, run in enumerate(arm.runs):
            seen, bpb = run.series("train/bpb", x=x)
            axes.plot(seen * scale, bpb, **style, alpha=0.3, linewidth=1)
            seen, bpb = run.series("eval/bpb", x=x)
            label = arm.name + (f" ({bpb[-1]:.3f})" if len(bpb) else "")
            axes.plot(seen * scale, bpb, **style, marker="o", markersize=4, label=label if n == 0 else None)
    axes.grid(alpha=0.3)
    axes.set_xlim(left=0)


def _references(left: Axes, right: Axes, runs: Sequence[Run]) -> None:
    """A grey line at each reference, named at its right end, below the name above it; one for all runs."""
    found = {
        key: [run.result[key] for run in runs if isinstance(run.result.get(key), float)] for key, _, _ in REFERENCES
    }
    low, high = left.get_ylim()
    place = high + 1.0
    for key, title, style in sorted(REFERENCES, key=lambda reference: -max(found[reference[0]], default=0.0)):
        if not found[key]:
            continue
        value = found[key][0]
        place = min(value, place - 0.05 * (high - low))
        for axes in (left, right):
            axes.axhline(value, color="0.35", linestyle=style, linewidth=1)
        at = ("axes fraction", "data")
        text = f"{title} {value:.2f}"
        right.annotate(text, (1.01, place), xycoords=at, va="center", color="0.25", annotation_clip=False)


def _limits(runs: Sequence[Run]) -> tuple[float, float]:
    """From below the best value to above order 0 and all evaluations; the first training batches may lie outside."""
    bpb = [value for run in runs for value in run.series("eval/bpb")[1]]
    references = [run.result[k] for run in runs for k, _, _ in REFERENCES if isinstance(run.result.get(k), float)]
    train = [value for run in runs for value in run.series("train/bpb")[1]]
    values = bpb + references or train
    if not values:
        return 0.0, math.nan
    low, high = min(values + train), max(values)
    margin = 0.06 * (high - low or 1.0)
    return max(0.0, low - margin), high + margin


def _time_unit(runs: Sequence[Run]) -> tuple[float, str]:
    longest = max((float(run.series("seconds")[1].max(initial=0)) for run in runs), default=0.0)
    if longest > 2 * 3600:
        return 1 / 3600, "hours"
    return (1 / 60, "minutes") if longest > 120 else (1.0, "seconds")
