"""Comparisons of arms: what is one arm, what is said of its chance, and what is not compared."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lexitok.analysis import compare_runs, markdown_table, read_run, save, text_table, write_comparison
from lexitok.analysis.arms import make_arms
from lexitok.analysis.dot_plot import arms_figure
from lexitok.analysis.plots import legend_below
from lexitok.config import default_config
from lexitok.config.files import to_json
from lexitok.runs.run import Run

NBYTES = np.arange(100, 140) * 10


def make_run(
    root: Path, name: str, *, seed: int = 0, lr: float = 3e-3, bpb: float = 2.0, documents=NBYTES, **more
) -> Run:
    """A finished run whose documents all have `bpb`."""
    config = default_config()
    config.name, config.seed, config.optimizer.lr = name, seed, lr
    path = root / f"{name}_{seed}_{lr}"
    path.mkdir(parents=True)
    result = {"name": name, "bpb": bpb, "bytes": int(sum(documents)), "documents": len(documents), "gzip": 2.9}
    lines = [
        {"nats": bpb * math.log(2) * int(n), "bytes": int(n), "words": 9, "words_right": 1, "first_nats": None}
        for n in documents
    ]
    (path / "config.json").write_text(to_json(config))
    (path / "result.json").write_text(json.dumps(result | more))
    (path / "documents.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_run(path)


def test_runs_that_differ_only_in_their_seed_are_one_row(tmp_path):
    """Three seeds are one result with a spread, not three results."""
    seeds = [make_run(tmp_path, "a", seed=s, bpb=2 + s / 10, parameters=7) for s in range(3)]
    other = make_run(tmp_path, "b", bpb=1.9, parameters=7)
    rows = compare_runs([*seeds, other])
    assert [(row["name"], len(row["runs"])) for row in rows] == [("b", 1), ("a", 3)]
    assert rows[1]["bpb"] == 2.1 and (rows[1]["seeds"].low, rows[1]["seeds"].high) == (2.0, 2.2)
    assert rows[1]["parameters"] == 7 and rows[1]["bytes"] == sum(NBYTES)
    assert "2.0000..2.2000 (3)" in text_table(rows) and "2.0000..2.2000 (3)" in markdown_table(rows)


def test_another_setting_or_the_same_seed_is_another_arm(tmp_path):
    """A learning-rate sweep averaged into one row, or one run counted twice, would be a false result."""
    first, other = make_run(tmp_path, "a"), make_run(tmp_path, "a", seed=1, lr=1e-3)
    assert [len(arm.runs) for arm in make_arms([first, other])] == [1, 1]
    assert len({arm.name for arm in make_arms([first, other])}) == 2
    again = make_run(tmp_path / "again", "a")
    assert [len(arm.runs) for arm in make_arms([first, again])] == [1, 1]


def test_arms_are_compared_with_the_first_run(tmp_path):
    """The arm that others are measured against is the one that was named first, not the best."""
    runs = [make_run(tmp_path, "a"), make_run(tmp_path, "b", bpb=1.75)]
    best, first = compare_runs(runs)
    assert first["versus"] is None and first["is_first"]
    assert math.isclose(best["versus"].value, -0.25) and math.isclose(best["versus"].high, -0.25)
    assert "-0.2500 [-0.2500, -0.2500]" in text_table([best, first])


def test_columns_that_nobody_has_are_left_out_and_others_say_what_is_missing(tmp_path):
    """Tables are wide enough; but a run that was not measured must be seen not to have been."""
    noisy = {"robustness": {"swap": {"increase": 0.25}, "bytes": 5}, "decode_bytes_per_second": 1500.0}
    plain = make_run(tmp_path, "a", train_flops=6e9, train_bytes=2e3, bytes_per_unit=5.5)
    rows = compare_runs([plain, make_run(tmp_path, "b", bpb=3.0, **noisy)])
    table = [re.split(r"\s{2,}", line) for line in text_table(rows).splitlines()]
    values = [dict(zip(table[0], line, strict=True)) for line in table[2:]]
    assert [v["swap"] for v in values] == ["–", "+0.2500"] and [v["decode bytes/s"] for v in values] == ["–", "1.5k"]
    assert [v["FLOPs/byte"] for v in values] == ["3M", "–"] and values[0]["bytes/unit"] == "5.50"
    assert "upper" not in table[0] and "seeds" not in table[0]


def test_texts_that_differ_are_said(tmp_path):
    """Pairing documents of different texts has to fail in words, and the table still be written."""
    runs = [make_run(tmp_path, "a"), make_run(tmp_path, "b", documents=NBYTES[:-1], bpb=1.0)]
    text = write_comparison(runs, tmp_path / "out")
    assert "Not comparable" in text and "b and a cannot be paired: 39 and 40 documents" in text
    noise = [{"robustness": {"swap": {"increase": 0.1}, "bytes": n, "documents": 1}} for n in (5, 6)]
    runs = [make_run(tmp_path / "2", name, **more) for name, more in zip("ab", noise, strict=True)]
    assert "robustness was measured on different texts" in write_comparison(runs, tmp_path / "out")


def test_later_measurements_join_the_result(tmp_path):
    """Robustness and decoding speed are measured when a run is long over."""
    run = make_run(tmp_path, "a")
    run.add_result("robustness", {"swap": {"increase": 1.0}})
    again = read_run(run.path)
    assert again.result == run.result | {"robustness": {"swap": {"increase": 1.0}}}
    (run.path / "result.json").unlink()
    run.add_result("x", 1)
    assert not (run.path / "result.json").exists(), "a run without a result must not seem to be finished"


def test_the_dot_plot_shows_every_arm_and_its_chance(tmp_path):
    """What a reader takes for an error bar has to be the numbers of the table."""
    runs = [make_run(tmp_path, f"arm{i}", bpb=2 + i / 20) for i in range(13)]
    runs += [make_run(tmp_path, "seeds", seed=s, bpb=1.9 + s / 100) for s in range(3)]
    rows = compare_runs(runs)
    figure = arms_figure(rows)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [row["name"] for row in rows]
    bars = [line for line in axes.lines if line.get_label() == "seeds"]
    assert len(bars) == 1 and list(bars[0].get_xdata()) == [1.9, 1.92]
    dots = [float(line.get_xdata()[0]) for line in axes.lines if line.get_label() == "bits per byte"]
    assert dots == [row["bpb"] for row in rows]
    assert len([line for line in axes.lines if str(line.get_label()).startswith("95%")]) == 13
    with Image.open(save(figure, tmp_path / "arms.png")) as picture:
        assert picture.size[1] > 800 and len(picture.convert("L").getcolors()) > 50
    save(arms_figure([]), tmp_path / "none.png")


@pytest.mark.parametrize(
    ("label", "columns"), [("en, mean", 3), ("en, hypernetwork=runs/hypernetwork", 2), ("x" * 120, 1)]
)
def test_a_legend_is_as_wide_as_its_figure_at_most(label, columns):
    """Names of runs are long, and what is cut off cannot be read; a single column is all that can be done."""
    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    lines = [line for i in range(6) for line in figure.subplots().plot([0, 1], [i, i])]
    legend_below(figure, lines, [label] * 6, most=3)
    (legend,) = figure.legends
    width = legend.get_tightbbox(FigureCanvasAgg(figure).get_renderer()).width
    assert legend._ncols == columns and (width <= figure.bbox.width) == (columns > 1)
