"""What probes find in several models, as a Markdown table and a figure."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lexitok.analysis.curves import Line, Panel, curves_figure
from lexitok.analysis.subjects import Subject
from lexitok.analysis.vectors import neighbour_table
from lexitok.evals.decipher import decipher
from lexitok.evals.in_context import TaskScores, frequent_symbols, look_up, permute
from lexitok.evals.layers import MeanStreams, bits_by_layer, mean_streams, occurrences, overlap_by_layer
from lexitok.evals.positions import ByPosition, by_position, log_bins, perplexity_gap
from lexitok.evals.text_rows import stretches

PLACES = "position in the context (from 1)"


@dataclasses.dataclass(frozen=True)
class Report:
    """What a probe found.

    Attributes:
      text: Markdown tables.
      figure: the same drawn.
    """

    text: str
    figure: Figure


def positions_report(
    subjects: Sequence[Subject], documents: Sequence[bytes], *, symbols: int, bins: int = 16, **settings: Any
) -> Report:
    """Bits per symbol by position, of all targets, of those seen before and of those unseen; and the perplexity gap.

    Args:
      subjects: the first is the reference of the gap.
      documents: raw bytes.
      symbols: `S`.
      bins: of positions, at most.
      **settings: `rows`, `each`, `seed` of `lexitok.evals.positions.by_position`.
    """
    edges = log_bins(symbols, bins)
    found = {
        s.name: by_position(s.model, s.encoder, documents, symbols=symbols, **settings).binned(edges) for s in subjects
    }
    first = next(iter(found.values()))
    x = np.sqrt((edges[:-1] + 1) * edges[1:])  # the middle of a bin, positions counted from 1
    parts = {"whole": "all symbols", "seen": "symbols seen in the row before", "unseen": "symbols not seen in the row"}
    panels = [
        Panel(
            [Line(name, x, getattr(sums, part).bits_per_symbol) for name, sums in found.items()],
            title=title,
            x=PLACES,
            y="bits per symbol",
            x_scale="log",
        )
        for part, title in parts.items()
    ]
    gaps = {name: perplexity_gap(sums.whole, first.whole) for name, sums in found.items()}
    ratios = [Line(name, x, gap.ratio) for name, gap in gaps.items()]
    title = f"perplexity, times that of {next(iter(found))}"
    panels.append(Panel(ratios, title=title, x=PLACES, y="ratio", x_scale="log", y_scale="log"))
    text = "".join(_positions_table(name, sums, first, edges) + "\n" for name, sums in found.items())
    return Report(text, curves_figure(panels))


def _positions_table(name: str, sums: ByPosition, first: ByPosition, edges: np.ndarray) -> str:
    gap, seen_gap = perplexity_gap(sums.whole, first.whole), perplexity_gap(sums.seen, first.seen)
    columns = (
        sums.whole.bits_per_symbol,
        sums.seen.bits_per_symbol,
        sums.unseen.bits_per_symbol,
        sums.unseen.targets / sums.whole.targets,
        sums.whole.bits_per_byte,
        gap.difference,
        gap.ratio,
        seen_gap.ratio,
    )
    places = [f"{a + 1}..{b}" for a, b in itertools.pairwise(edges.tolist())]
    rows = [[place, *(_number(c[i]) for c in columns)] for i, place in enumerate(places)]
    header = "bits a symbol | seen | unseen | fraction unseen | bpb | gap | gap ratio | gap ratio, seen"
    return f"**{name}** ({sums.rows} rows)\n\n" + _table(["positions", *header.split(" | ")], rows)


def decipher_report(subjects: Sequence[Subject], documents: Sequence[bytes], **settings: Any) -> Report:
    """Accuracy of deciphering by position, and how much of the key is recovered.

    Args:
      subjects: models.
      documents: raw bytes.
      **settings: of `lexitok.evals.decipher.decipher`.
    """
    lines, rows, levels = [], [], {}
    for subject in subjects:
        found = decipher(subject.model, subject.encoder, documents, **settings)
        n, edges = len(found.accuracy), log_bins(len(found.accuracy), 24)
        mean = np.add.reduceat(found.accuracy, edges[:-1]) / np.diff(edges)
        lines.append(Line(subject.name, np.sqrt((edges[:-1] + 1) * edges[1:]), mean))
        quarter = max(n // 4, 1)
        values = [found.accuracy.mean(), found.accuracy[:quarter].mean(), found.accuracy[-quarter:].mean()]
        values += [found.key_symbols, found.key_positions, found.majority]
        rows.append([subject.name, *map(_number, values), str(found.train_rows), str(found.test_rows)])
        levels = levels or {"most frequent symbol": found.majority}
    header = "run | accuracy | first quarter | last quarter | key: symbols | key: positions | most frequent symbol"
    panel = Panel(lines, "deciphered", PLACES, "accuracy of the probe", x_scale="log", levels=levels)
    table = _table([*header.split(" | "), "training rows", "test rows"], rows)
    return Report(table, curves_figure([panel]))


def in_context_report(
    subjects: Sequence[Subject],
    documents: Sequence[bytes],
    *,
    content: int = 64,
    pairs: Sequence[int] = (1, 2, 4, 8, 16),
    size: int = 4,
    examples: Sequence[int] = (1, 2, 4, 8),
    **settings: Any,
) -> Report:
    """Accuracy in LookUp and Permutation by what is shown.

    Args:
      subjects: models.
      documents: raw bytes, whose frequent symbols prompts are made of.
      content: how many of them, beside the arrow and the separator.
      pairs, size, examples: of the tasks.
      **settings: `prompts`, `rows`, `seed` of `lexitok.evals.in_context.look_up`.
    """
    found: dict[str, tuple[TaskScores, TaskScores]] = {}
    for s in subjects:
        symbols = frequent_symbols(s.encoder, documents, content)
        found[s.name] = (
            look_up(s.model, s.encoder, symbols, pairs=pairs, **settings),
            permute(s.model, s.encoder, symbols, size=size, examples=examples, **settings),
        )
    panels, text = [], ""
    for number, (title, shown) in enumerate((("LookUp", "pairs shown"), ("Permutation", "examples shown"))):
        scores = {name: both[number] for name, both in found.items()}
        lines = [Line(name, s.shown, s.accuracy, s.error) for name, s in scores.items()]
        one = next(iter(scores.values()))
        chance = [Line("chance", one.shown, one.chance)]
        panels.append(Panel(lines, title, shown, "accuracy", x_scale="log", baselines=chance))
        text += f"**{title}** ({one.prompts} prompts each)\n\n" + _tasks_table(shown, scores) + "\n"
    return Report(text, curves_figure(panels))


def _tasks_table(shown: str, scores: dict[str, TaskScores]) -> str:
    rows = [
        [
            name,
            str(s.shown[i]),
            f"{s.accuracy[i]:.3f} ± {s.error[i]:.3f}",
            _number(s.chance[i]),
            f"{s.whole[i]:.3f} ± {s.whole_error[i]:.3f}",
            _number(s.whole_chance[i]),
            _number(s.nats[i]),
        ]
        for name, s in scores.items()
        for i in range(len(s.shown))
    ]
    return _table(["run", shown, "accuracy", "chance", "whole answer", "chance", "nats a symbol"], rows)


def layers_report(
    subjects: Sequence[Subject],
    reference: Subject,
    documents: Sequence[bytes],
    *,
    symbols: int,
    rows: int,
    each: int = 1,
    most: int = 64,
    least: int = 10,
    k: int = 10,
    reference_layer: int = 0,
    queries: int = 8,
    seed: int = 0,
) -> Report:
    """By layer: how well the bits of ids are read off linearly, and how near neighbours are to those of a reference.

    Args:
      subjects: models.
      reference: a model with a learned table.
      documents: raw bytes.
      symbols, rows, each, most, least, seed: as in `lexitok.evals.layers`.
      k, reference_layer: as of `lexitok.evals.layers.overlap_by_layer`.
      queries: symbols, the most frequent ones, whose neighbours are shown.
    """
    wanted = _means(reference, documents, symbols, each, rows=rows, least=least, seed=seed)
    lines: dict[str, list[Line]] = {"rows": [], "symbols": [], "overlap": []}
    table, neighbours = [], ""
    levels: dict[str, float] = {}
    for s in subjects:
        text = stretches(s.encoder, documents, symbols, each=each)
        places = occurrences(s.model, s.encoder, text, rows=rows, most=most, seed=seed)
        V, layers = s.encoder.vocabulary.size, np.arange(len(places.streams))
        bits = {name: bits_by_layer(places, V, new=name, seed=seed) for name in ("rows", "symbols")}
        means = mean_streams(s.model, s.encoder, text, rows=rows, least=least, seed=seed)
        overlap = overlap_by_layer(means, wanted, k=k, reference_layer=reference_layer)
        for name, found in bits.items():
            lines[name].append(Line(s.name, layers, found.bits.mean(1)))
        lines["overlap"].append(Line(s.name, layers, overlap.mean, overlap.error))
        levels = levels or {"majority": float(bits["symbols"].majority.mean()), "chance": overlap.chance}
        for layer in layers:
            found = [x for b in bits.values() for x in (b.bits[layer].mean(), b.exact[layer], b.majority.mean())]
            near = f"{overlap.mean[layer]:.3f} ± {overlap.error[layer]:.3f}"
            table.append([s.name, str(layer), *map(_number, found), near])
        neighbours += f"\n**{s.name}**, neighbours after layer {layers[-1]}\n\n" + _neighbours(s, means, queries)
    head = "run | layer | bits | ids | majority | bits, new symbols | ids, new symbols | majority, new symbols"
    majority, chance = ({name: levels[name]} for name in ("majority", "chance"))
    title = f"{k} neighbours shared with layer {reference_layer} of\n{reference.name}"
    panels = [
        Panel(lines["rows"], "bits of ids, symbols known to the probe", "layer", "accuracy a bit"),
        Panel(lines["symbols"], "bits of ids, symbols new to the probe", "layer", "accuracy a bit", levels=majority),
        Panel(lines["overlap"], title, "layer", "fraction", levels=chance),
    ]
    return Report(_table([*head.split(" | "), f"overlap@{k}"], table) + neighbours, curves_figure(panels))


def _means(s: Subject, documents: Sequence[bytes], symbols: int, each: int, **settings: Any) -> MeanStreams:
    return mean_streams(s.model, s.encoder, stretches(s.encoder, documents, symbols, each=each), **settings)


def _neighbours(s: Subject, means: MeanStreams, queries: int) -> str:
    words = [s.encoder.vocabulary.token_bytes[i] for i in means.ids]
    frequent = [words[i] for i in np.argsort(-means.counts, kind="stable")[:queries]]
    return neighbour_table(means.vectors[-1], words, frequent)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
