"""Dynamic tokenization of a run's model on several texts: how much shorter sequences get, and what that costs."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lexitok.analysis.plots import COLOURS, STYLES, legend_below, save
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.sources import open_source
from lexitok.runs.load import load_model
from lexitok.runs.run import Run
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.dynamic.batches import Merging
from lexitok.transfer.dynamic.cache import RowCache
from lexitok.transfer.dynamic.evaluate import DynamicEvaluation, evaluate_dynamic
from lexitok.transfer.dynamic.rows import HypernetworkRows, MethodRows, RowMaker
from lexitok.transfer.dynamic.writing import merges_of
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method

_HYPERNETWORK = "hypernetwork="
_REMEMBERED = 50_000  # rows of merged tokens


@dataclasses.dataclass(frozen=True)
class Point:
    """One evaluation.

    Attributes:
      source: of the documents.
      maker: of the rows, as it is written.
      merges: at most.
      positions: that the model read, over those without merges.
      found: the evaluation.
    """

    source: str
    maker: str
    merges: int
    positions: float
    found: DynamicEvaluation


def sweep(
    run: Run,
    sources: Sequence[str],
    merges: Sequence[int],
    makers: Sequence[str],
    *,
    reach: str,
    scope: str,
    words: str = "tokenizer",
    overlap: float = 0.75,
    split: str = "validation",
    given_split: str = "train",
    max_bytes: int = 200_000,
) -> Iterator[Point]:
    """An evaluation for each source, number of merges and maker, each with the same windows of a source.

    Args:
      run: of a subword model.
      sources: as `data.source`: for instance one a language.
      merges: how many; 0 is done in any case, and first.
      makers: of rows, as one writes them (`row_maker`).
      reach, scope: as of `Merging`; the merges of `given` are found in `given_split` of the same source.
      words: that merges stay within.
      overlap: fraction of a window that is context.
      split, max_bytes: of the documents; whole ones, of so many bytes at most; as many are read of `given_split`.

    Raises:
      TransferError: no subword model; as `row_maker`, `Merging`.
      SourceError: no such source or split.
    """
    c = run.config
    if c.text.kind != "subword":
        raise TransferError(f"{run.path} is a run of kind '{c.text.kind}': only subword models have tokens to merge")
    model, encoder = load_model(run)
    assert isinstance(encoder, SubwordEncoder)
    ready = {said: row_maker(said, model, encoder.tokenizer) for said in makers}
    for source in sources:
        documents = _documents(run, source, split, max_bytes)
        text = _documents(run, source, given_split, max_bytes) if scope == "given" else []
        static = None
        for count in sorted({0, *merges}):
            given = merges_of(text, encoder.tokenizer, words, merges=count) if scope == "given" else None
            merging = Merging(reach, scope, count, given)
            for said, maker in ready.items():
                if count == 0 and static is not None:
                    found = static
                else:
                    cache, how = RowCache(maker, _REMEMBERED), {"rows": c.data.rows, "symbols": c.data.symbols}
                    how |= {"words": words, "overlap": overlap, "chunk": c.objective.chunk}
                    found = evaluate_dynamic(model, encoder, documents, merging, cache, **how)
                static = found if static is None else static
                yield Point(source, said, count, found.symbols / static.symbols, found)


def row_maker(said: str, model: Any, tokenizer: Tokenizer) -> RowMaker:
    """A maker of rows as one writes it: a method (`mean`, `front_loaded(decay=0.3)`), or `hypernetwork=RUN`.

    Raises:
      TransferError: no such method; a run whose interface makes no rows of spellings, or of another tokenizer's.
    """
    if not said.startswith(_HYPERNETWORK):
        return MethodRows(model.interface, tokenizer, make_method(said))
    path = said.removeprefix(_HYPERNETWORK)
    other, own = load_model(Path(path))
    settings = getattr(other.interface, "c", None)
    if settings is None or "parts" not in settings:
        raise TransferError(f"{path} has a {type(other.interface).__name__}, and no hypernetwork")
    source = settings.vocabulary_fingerprint or own.vocabulary.fingerprint
    if source != tokenizer.vocabulary.fingerprint:
        raise TransferError(f"the hypernetwork of {path} was made for other tokens than those of the model")
    return HypernetworkRows(other.interface, tokenizer, parts=settings.parts, language=settings.language)


def _documents(run: Run, source: str, split: str, max_bytes: int) -> list[bytes]:
    data = run.config.data
    corpus = open_source(source, split, cache=data.cache, field=data.field)
    return [document.data for document in corpus.documents(max_bytes)]


def points_table(points: Sequence[Point]) -> str:
    """A line for each, in Markdown."""
    columns = ("rows", "merges", "positions", "bytes a position", "bpb", "with merges", "tokens", "cache hits")
    lines = ["| source | " + " | ".join(columns) + " |", "|---|---|" + "---:|" * (len(columns) - 1)]
    for point in points:
        found = point.found
        cells = (
            f"`{point.source}`",
            point.maker,
            f"{point.merges}",
            f"{point.positions:.3f}",
            f"{found.evaluation.summary()['bytes_per_unit']:.2f}",
            f"{found.bpb:.4f}",
            f"{found.bpb_with_merges:.4f}",
            f"{found.tokens:.0f}",
            f"{found.hit_rate:.1%}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def points_figure(points: Sequence[Point], title: str = "") -> Figure:
    """Bits per byte against positions: a colour for each source, a style of line for each maker of rows."""
    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    sources, makers = (list(dict.fromkeys(getattr(point, name) for point in points)) for name in ("source", "maker"))
    for i, source in enumerate(sources):
        for j, maker in enumerate(makers):
            some = [point for point in points if (point.source, point.maker) == (source, maker)]
            axes.plot(
                [point.positions for point in some],
                [point.found.bpb_with_merges for point in some],
                color=COLOURS[i % len(COLOURS)],
                linestyle=STYLES[j % len(STYLES)],
                marker="o",
                markersize=4,
                label=_name(source, sources) + (f", {maker}" if len(makers) > 1 else ""),
            )
    axes.set(xlabel="positions read, relative to no merges", ylabel="bits per byte (lower is better)", title=title)
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
    legend_below(figure, *axes.get_legend_handles_labels(), most=3)
    return figure


def _name(source: str, sources: Sequence[str]) -> str:
    """What tells a source from the others: without the beginning and the end that all share."""
    if len(sources) < 2:
        return source
    first = next(i for i in range(len(source) + 1) if len({other[: i + 1] for other in sources}) > 1)
    last = next(i for i in range(len(source) + 1) if len({other[len(other) - i - 1 :] for other in sources}) > 1)
    return source[first : len(source) - last] or source


def write_points(points: Sequence[Point], out: Path, title: str = "") -> str:
    """Writes `dynamic.md` and `dynamic.png` into a folder; returns the table."""
    table = points_table(points)
    save(points_figure(points, title), out / "dynamic.png")
    (out / "dynamic.md").write_text(table)
    return table
