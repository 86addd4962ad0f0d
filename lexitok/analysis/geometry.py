"""The vectors that symbols enter with, side by side: what they look like in tables and pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lexitok.analysis.plots import COLOURS
from lexitok.data.encoders import Encoder
from lexitok.interfaces.checks import InterfaceReport


def geometry_table(reports: Mapping[str, InterfaceReport]) -> str:
    """A Markdown table: a line for each interface, by name."""
    head = "| vectors | distinct | zero | rank | norms | nearest cosine |\n|---|---:|---:|---:|---:|---:|\n"
    lines = (
        f"| {name} | {report.distinct} of {report.V} | {len(report.zeros)} | {report.rank} of {report.D} "
        f"| {report.norms[0]:.2f} to {report.norms[2]:.2f} | {_nearest(report)} |\n"
        for name, report in reports.items()
    )
    return head + "".join(lines)


def geometry_figure(vectors: Mapping[str, np.ndarray], ids: Sequence[int], labels: Sequence[str]) -> Figure:
    """A row for each interface: cosines between some symbols, these symbols on two axes, and how wide all vectors are.

    The mean of all vectors is taken off before. The axes are the first two principal ones of the chosen symbols; the
    last panel has the singular values of all vectors, over their largest: a flat line is a space that is used evenly.

    Args:
      vectors: by name, float `[V, D]`.
      ids: the symbols that are shown, in an order that puts like beside like.
      labels: what they are called.

    Raises:
      ValueError: there is nothing to show, or not one label for each symbol.
    """
    if not vectors or len(ids) < 3 or len(ids) != len(labels):
        raise ValueError(f"{len(vectors)} interfaces, {len(ids)} symbols, {len(labels)} labels: show 1 and 3 at least")
    figure = Figure(figsize=(13, 4.0 * len(vectors)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(vectors), 3, squeeze=False)
    for axes, (name, vectors_VxD), colour in zip(rows, vectors.items(), _colours(len(vectors)), strict=True):
        centred = vectors_VxD.astype(np.float64) - vectors_VxD.mean(0)
        chosen = centred[list(ids)]
        _cosines(axes[0], chosen, labels, name)
        _places(axes[1], chosen, labels, colour)
        _spectrum(axes[2], centred, colour)
    return figure


def frequent_letters(encoder: Encoder, documents: Sequence[bytes], count: int) -> list[int]:
    """The most frequent symbols that hold a letter, in alphabetical order, upper beside lower case.

    Raises:
      ValueError: there is none in the documents.
    """
    seen = np.zeros(encoder.vocabulary.size, np.int64)
    for number, data in enumerate(documents):
        seen += np.bincount(encoder.encode(data, f"document {number}").symbols, minlength=len(seen))
    text = [token.decode("utf-8", errors="ignore") for token in encoder.vocabulary.token_bytes]
    letters = [i for i in np.argsort(-seen, kind="stable").tolist() if seen[i] and any(map(str.isalpha, text[i]))]
    if not letters:
        raise ValueError("the documents hold no symbol with a letter")
    return sorted(letters[:count], key=lambda i: (text[i].strip().casefold(), text[i]))


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _nearest(report: InterfaceReport) -> str:
    return f"{report.by_cosine[0].value:.3f}" if report.by_cosine else "–"


def _cosines(axes: Axes, x_NxD: np.ndarray, labels: Sequence[str], name: str) -> None:
    directions = x_NxD / np.maximum(np.linalg.norm(x_NxD, axis=1, keepdims=True), 1e-30)
    image = axes.imshow(directions @ directions.T, vmin=-1, vmax=1, cmap="RdBu_r")
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    ticks = range(len(labels))
    size = 8 if len(labels) <= 40 else 5
    axes.set_xticks(ticks, labels, rotation=90, fontsize=size)
    axes.set_yticks(ticks, labels, fontsize=size)
    axes.set_title(f"{name}: cosines")


def _places(axes: Axes, x_NxD: np.ndarray, labels: Sequence[str], colour: str) -> None:
    x = x_NxD - x_NxD.mean(0)
    _, _, basis = np.linalg.svd(x, full_matrices=False)
    signs = np.where(basis[:2].sum(1) < 0, -1.0, 1.0)  # an axis and its negative are the same: take one of them
    x = x @ (basis[:2] * signs[:, None]).T
    axes.plot(x[:, 0], x[:, 1], ".", color=colour, markersize=4)
    for (a, b), label in zip(x, labels, strict=True):
        axes.annotate(label, (a, b), fontsize=8)
    axes.set(title="on two axes", xticks=[], yticks=[])


def _spectrum(axes: Axes, x_VxD: np.ndarray, colour: str) -> None:
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(x_VxD.T @ x_VxD)[::-1], 0.0))
    axes.plot(np.arange(1, len(values) + 1), values / max(values[0], 1e-30), color=colour)
    axes.set(title="singular values", xlabel="number", ylabel="over the largest", ylim=(0, 1.05))
    axes.grid(alpha=0.3)
