"""Bits per byte by arm: a dot an arm, with what is known about its chance."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lexitok.analysis.arms import is_number

BAR, INTERVAL = "#0072B2", "#D55E00"


def arms_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """A dot plot of the rows of `compare_runs`, the best on top; arms without bits per byte are left out.

    The thick bar reaches from the smallest to the largest value of an arm's runs, which are pale dots. The thin bar
    with caps is the 95 % interval of the difference to the first arm (bootstrap over documents), drawn around the arm's
    own value: an arm whose thin bar does not reach the dashed line, the first arm's value, differs on this text.
    """
    known = [row for row in rows if is_number(row.get("bpb"))]
    figure = Figure(figsize=(8.5, 1.7 + 0.34 * max(len(known), 2)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    first = [row for row in known if row.get("is_first")]
    for place, row in enumerate(known):
        _draw(axes, place, row, first[0]["name"] if first else "the first arm")
    axes.set(xlabel="bits per byte (lower is better)", yticks=range(len(known)), ylim=(len(known) - 0.4, -0.6))
    axes.set_yticklabels([str(row["name"]) for row in known])
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.06)
    if first and len(known) > 1:
        axes.axvline(first[0]["bpb"], color="0.4", linestyle="--", linewidth=1, zorder=0, label=str(first[0]["name"]))
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if len(once) > 1:
        figure.legend(list(once.values()), list(once), loc="outside lower center", ncols=len(once), frameon=False)
    return figure


def _draw(axes: Axes, place: int, row: dict[str, Any], first: str) -> None:
    bpb, seeds, versus = row["bpb"], row.get("seeds"), row.get("versus")
    if versus is not None:
        reference = bpb - versus.value
        low, high = reference + versus.low, reference + versus.high
        axes.plot(
            (low, high), (place, place), color=INTERVAL, linewidth=1.2, zorder=2, label=f"95% of difference to {first}"
        )
        axes.plot((low, high), (place, place), "|", color=INTERVAL, markersize=8, zorder=2)
    if seeds is not None:
        span = (seeds.low, seeds.high)
        axes.plot(span, (place, place), color=BAR, linewidth=5, alpha=0.35, solid_capstyle="butt", label="seeds")
        runs = [value for value in row.get("runs", ()) if is_number(value)]
        axes.plot(runs, [place] * len(runs), "o", color=BAR, markersize=4, alpha=0.5)
    axes.plot(bpb, place, "o", color=BAR, markersize=7, zorder=3, label="bits per byte")
    axes.annotate(f"{bpb:.3f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
