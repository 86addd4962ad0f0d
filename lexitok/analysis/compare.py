"""Several runs side by side: rows, and tables of them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lexitok.analysis.plots import bpb_figure, save
from lexitok.analysis.runs import Run

Row = dict[str, Any]
MISSING = "–"


def _count(value: float | int) -> str:
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:  # what rounds to 1000 of a unit is 1 of the next
            return f"{value / size:.3g}{suffix}"
    return f"{value:.0f}"


def _bits(value: float | int) -> str:
    return f"{value:.4f}"


def _percent(value: float | int) -> str:
    return f"{100 * value:.2f}%"


COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (  # key of a row, title, how a value is written
    ("name", "run", str),
    ("bpb", "bpb", _bits),
    ("first_byte_bpb", "first byte", _bits),
    ("next_word_accuracy", "next word", _percent),
    ("train_bytes_per_second", "train bytes/s", _count),
    ("parameters", "parameters", _count),
    ("fraction_scored", "scored", lambda value: f"{value:.6g}"),
    ("gzip", "gzip", _bits),
    ("xz", "xz", _bits),
    ("order0", "order 0", _bits),
)
NOTE = (
    "bpb, gzip, xz and order 0 (entropy of the histogram) are bits per byte of the same raw bytes: lower is better. "
    "gzip and xz read all documents as one string. First byte: of a word; not defined where a symbol spans bytes."
)


def compare_runs(runs: Sequence[Run]) -> list[Row]:
    """A row for each run, best bits per byte first: its final evaluation, name and training throughput.

    Runs of one name are told apart by their directory.
    """
    rows = []
    for run in runs:
        same = sum(other.name == run.name for other in runs) > 1
        name = str(run.path) if same else run.name
        rows.append({**run.result, "name": name, "train_bytes_per_second": run.bytes_per_second()})
    return sorted(rows, key=lambda row: row.get("bpb") if _known(row.get("bpb")) else math.inf)


def same_bytes(rows: Sequence[Row]) -> str:
    """Empty if all rows were evaluated on the same raw bytes; else what to know before comparing them."""
    marks = {row["name"]: (row.get("bytes"), row.get("documents"), row.get("gzip"), row.get("order0")) for row in rows}
    if len(set(marks.values())) <= 1:
        return ""
    sizes = ", ".join(f"{name}: {mark[0]} bytes in {mark[1]} documents" for name, mark in marks.items())
    return f"Not comparable, the runs were evaluated on different texts ({sizes})."


def write_comparison(runs: Sequence[Run], out: Path) -> str:
    """Writes `table.md` and `bpb.png` into `out`, which is made.

    Returns:
      The table as text, with what there is to know about it.
    """
    rows = compare_runs(runs)
    notes = "\n".join(note for note in (NOTE, same_bytes(rows)) if note)
    picture = save(bpb_figure(runs), out / "bpb.png")
    table = out / "table.md"
    table.write_text(f"{markdown_table(rows)}\n{notes}\n\n![bits per byte]({picture.name})\n", encoding="utf-8")
    return f"{text_table(rows)}\n{notes}\n\n{table}\n{picture}"


def text_table(rows: Sequence[Row]) -> str:
    """The rows as text in columns, numbers to the right."""
    table = [[title for _, title, _ in COLUMNS], *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        padded = (c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]]) + "\n"


def markdown_table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = "| " + " | ".join(title for _, title, _ in COLUMNS) + " |"
    rule = "|" + "|".join("---" if i == 0 else "---:" for i in range(len(COLUMNS))) + "|"
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |" for row in rows]
    return "\n".join([head, rule, *body]) + "\n"


def _cells(row: Row) -> list[str]:
    return [form(row[key]) if _known(row.get(key)) else MISSING for key, _, form in COLUMNS]


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
