"""Several arms side by side: rows, and tables of them. An arm is a run, or runs that differ only in their seed."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lexitok.analysis.arms import Arm, is_number, make_arms, versus
from lexitok.analysis.dot_plot import arms_figure
from lexitok.analysis.paired import Difference, Spread
from lexitok.analysis.plots import bpb_figure, save
from lexitok.evals.perturbations import PERTURBATIONS
from lexitok.runs.run import Run

Row = dict[str, Any]
MISSING = "–"


def _count(value: float | int) -> str:
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:  # what rounds to 1000 of a unit is 1 of the next
            return f"{value / size:.3g}{suffix}"
    return f"{value:.0f}"


def _bits(value: float | int) -> str:
    return f"{value:.4f}"


def _signed(value: float | int) -> str:
    return f"{value:+.4f}"


def _seeds(value: Spread) -> str:
    return f"{value.low:.4f}..{value.high:.4f} ({value.n})"


def _versus(value: Difference) -> str:
    return f"{value.value:+.4f} [{value.low:+.4f}, {value.high:+.4f}]"


def _percent(value: float | int) -> str:
    return f"{100 * value:.2f}%"


Column = tuple[str, str, Callable[[Any], str]]  # key of a row, title, how a value is written
COLUMNS: tuple[Column, ...] = (
    ("name", "run", str),
    ("bpb", "bpb", _bits),
    ("seeds", "seeds", _seeds),
    ("versus", "less the first", _versus),
    ("first_byte_bpb", "first byte", _bits),
    ("next_word_accuracy", "next word", _percent),
    ("bytes_per_unit", "bytes/unit", lambda value: f"{value:.2f}"),
    ("train_bytes_per_second", "train bytes/s", _count),
    ("decode_bytes_per_second", "decode bytes/s", _count),
    ("train_flops_per_byte", "FLOPs/byte", _count),
    *((f"{name}_increase", name, _signed) for name in PERTURBATIONS),
    ("parameters", "parameters", _count),
    ("fraction_scored", "scored", lambda value: f"{value:.6g}"),
    ("gzip", "gzip", _bits),
    ("xz", "xz", _bits),
    ("order0", "order 0", _bits),
)
WHERE_KNOWN = ("seeds", "versus", *(f"{name}_increase" for name in PERTURBATIONS))  # left out if no row has it
NOTE = (
    "bpb, gzip, xz and order 0 (entropy of the histogram) are bits per byte of the same raw bytes: lower is better. "
    "gzip and xz read all documents as one string. First byte: of a word; not defined where a symbol spans bytes. "
    "FLOPs/byte: of training, of the model, a raw byte."
)
NOTES = {
    "seeds": "Seeds: the smallest and the largest bpb of an arm's runs, and how many; other columns are their means.",
    "versus": (
        "Less the first: bpb less that of the first arm, paired by document, with the 95% interval of a bootstrap over "
        "documents; what another seed would change is not in it."
    ),
    **{
        f"{name}_increase": (
            "Swap, replace, drop, upper: what bpb rises by on text with this noise. The noise is the same for all, so "
            "rows can be compared; a part of the rise is the noise's own information."
        )
        for name in PERTURBATIONS
    },
}


def compare_runs(runs: Sequence[Run]) -> list[Row]:
    """A row for each arm, best bits per byte first: the final evaluations of its runs, and what training cost.

    Numbers are means over the arm's runs. `seeds` is the `Spread` of its bpb if there are several runs, `versus` the
    `Difference` to the arm of the first run, `unpaired` why there is none. Arms of one name are told apart by their
    directories.
    """
    arms = make_arms(runs)
    rows = [_row(arm, arms[0]) for arm in arms]
    return sorted(rows, key=lambda row: row["bpb"] if _known(row.get("bpb")) else math.inf)


def same_bytes(rows: Sequence[Row]) -> str:
    """Empty if all rows were evaluated on the same raw bytes; else what to know before comparing them."""
    if len({mark for row in rows for mark in row["texts"]}) <= 1:
        return ""
    sizes = (f"{row['name']}: {mark[0]} bytes in {mark[1]} documents" for row in rows for mark in row["texts"])
    return f"Not comparable, the runs were evaluated on different texts ({', '.join(sizes)})."


def write_comparison(runs: Sequence[Run], out: Path) -> str:
    """Writes `table.md`, `arms.png` (bits per byte by arm) and `bpb.png` (over training) into `out`, which is made.

    Returns:
      The table as text, with what there is to know about it.
    """
    rows = compare_runs(runs)
    notes = "\n".join(_notes(rows))
    pictures = save(arms_figure(rows), out / "arms.png"), save(bpb_figure(runs), out / "bpb.png")
    links = "\n".join(f"![bits per byte]({picture.name})" for picture in pictures)
    table = out / "table.md"
    table.write_text(f"{markdown_table(rows)}\n{notes}\n\n{links}\n", encoding="utf-8")
    return f"{text_table(rows)}\n{notes}\n\n{table}\n" + "\n".join(map(str, pictures))


def _row(arm: Arm, first: Arm) -> Row:
    results = [run.result for run in arm.runs]
    row: Row = {key: results[0][key] for key in results[0] if all(r.get(key) == results[0][key] for r in results)}
    row |= {
        key: math.fsum(arm.numbers(key)) / len(results) for key in results[0] if key not in row and arm.numbers(key)
    }
    compared = None if arm is first else versus(arm, first)
    robustness = [result.get("robustness", {}) for result in results]
    flops = _ratio(row.get("train_flops"), row.get("train_bytes"))
    return row | {
        "name": arm.name,
        "is_first": arm is first,
        "runs": [run.result.get("bpb") for run in arm.runs],
        "seeds": arm.spread("bpb") if len(arm.runs) > 1 else None,
        "versus": compared if isinstance(compared, Difference) else None,
        "unpaired": compared if isinstance(compared, str) else "",
        "texts": sorted({_text(result) for result in results}, key=str),
        "noise": sorted({_text(noisy) for noisy in robustness if noisy}, key=str),
        "train_bytes_per_second": row.get("train_bytes_per_second", _mean([r.bytes_per_second() for r in arm.runs])),
        "train_flops_per_byte": flops,
        **{f"{name}_increase": _mean([r.get(name, {}).get("increase") for r in robustness]) for name in PERTURBATIONS},
    }


def _notes(rows: Sequence[Row]) -> list[str]:
    shown = [NOTES[key] for key, _, _ in _columns(rows) if key in NOTES]
    noise = {mark for row in rows for mark in row["noise"]}
    differ = "Not comparable, robustness was measured on different texts." if len(noise) > 1 else ""
    notes = (NOTE, *dict.fromkeys(shown), same_bytes(rows), differ, *(row["unpaired"] for row in rows))
    return [note for note in notes if note]


def _text(result: dict[str, Any]) -> tuple[Any, ...]:
    """What tells the evaluated text apart from others."""
    return tuple(result.get(key) for key in ("bytes", "documents", "gzip", "order0", "fraction", "seed"))


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if is_number(value)]
    return math.fsum(known) / len(values) if values and len(known) == len(values) else None


def _ratio(a: Any, b: Any) -> float | None:
    return a / b if is_number(a) and is_number(b) and b else None


def _columns(rows: Sequence[Row]) -> list[Column]:
    return [c for c in COLUMNS if c[0] not in WHERE_KNOWN or any(_known(row.get(c[0])) for row in rows)]


def text_table(rows: Sequence[Row]) -> str:
    """The rows as text in columns, numbers to the right."""
    columns = _columns(rows)
    table = [[title for _, title, _ in columns], *(_cells(row, columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        padded = (c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]]) + "\n"


def markdown_table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    columns = _columns(rows)
    head = "| " + " | ".join(title for _, title, _ in columns) + " |"
    rule = "|" + "|".join("---" if i == 0 else "---:" for i in range(len(columns))) + "|"
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row, columns)) + " |" for row in rows]
    return "\n".join([head, rule, *body]) + "\n"


def _cells(row: Row, columns: Sequence[Column]) -> list[str]:
    return [form(row[key]) if _known(row.get(key)) else MISSING for key, _, form in columns]


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
