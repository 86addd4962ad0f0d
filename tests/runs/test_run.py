"""Reading runs, and putting them side by side."""

import json
import math
import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

from lexitok.analysis import RunError, compare_runs, markdown_table, read_run, save, text_table, write_comparison
from lexitok.analysis.compare import same_bytes
from lexitok.analysis.plots import bpb_figure, learning_curves
from lexitok.config import default_config
from lexitok.config.files import to_json

RESULT = {"bpb": 2.0, "first_byte_bpb": 3.25, "gzip": 2.9, "xz": 2.7, "order0": 4.5, "bytes": 1000, "documents": 2}


def make_run(root: Path, name: str, *, seconds: float = 1.0, **result) -> Path:
    config = default_config()
    config.name = name
    path = root / name
    path.mkdir(parents=True)
    (path / "config.json").write_text(to_json(config))
    lines = []
    for step in (10, 20, 30, 40):
        took = seconds * (step + (100 if step > 20 else 0))  # an evaluation takes its time
        seen = {"step": step, "bytes": step * 1000, "seconds": took}
        lines += [seen | {"train/loss": 2.0, "train/bpb": 80 / step}, seen | {"eval/bpb": 100 / step}]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 50, "by')
    (path / "result.json").write_text(json.dumps(RESULT | result))
    (path / "samples.txt").write_text("once")
    return path


def test_a_killed_run_is_read_up_to_its_last_whole_line(tmp_path):
    """A run that was killed, or is at work, must be possible to look at."""
    run = read_run(make_run(tmp_path, "a"))
    assert [line["step"] for line in run.metrics] == [10, 20, 30, 40]
    assert run.metrics[0]["eval/bpb"] == 10.0 and run.metrics[0]["train/bpb"] == 8.0
    assert (run.name, run.sample, run.config.text.splitter) == ("a", "once", "unicode_words")


def test_throughput_leaves_out_evaluations(tmp_path):
    """The bytes a second of training would depend on how often a run evaluates."""
    assert read_run(make_run(tmp_path, "a", seconds=0.5)).bytes_per_second() == 2000.0


def test_a_run_that_has_just_begun_can_be_read(tmp_path):
    """The notebook is opened before there is a result too."""
    path = make_run(tmp_path, "a")
    for name in ("metrics.jsonl", "result.json", "samples.txt"):
        (path / name).unlink()
    run = read_run(path)
    assert (run.metrics, run.result, run.sample) == ((), {}, "")
    assert math.isnan(run.bytes_per_second())
    assert "–" in text_table(compare_runs([run]))
    save(bpb_figure([run]), tmp_path / "a.png")
    save(learning_curves(run), tmp_path / "b.png")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "has no config.json"),
        ("config.json", "{", "is not a config"),
        ("result.json", "[1]", "holds a list"),
        ("result.json", "{", "is not JSON"),
    ],
)
def test_damaged_runs_are_named(tmp_path, file, content, message):
    """Whoever has twenty runs needs to know which file of which run is broken."""
    path = make_run(tmp_path, "broken")
    if content is None:
        (path / file).unlink()
    else:
        (path / file).write_text(content)
    with pytest.raises(RunError, match=f"broken.*{message}"):
        read_run(path)


def test_no_such_run_is_said(tmp_path):
    """A typing mistake in a path is the most common of all."""
    with pytest.raises(RunError, match="no run directory"):
        read_run(tmp_path / "nope")


def test_rows_are_sorted_and_undefined_measures_are_not_numbers(tmp_path):
    """A missing first-byte number must not read as zero bits."""
    runs = [read_run(make_run(tmp_path, "a", first_byte_bpb=None)), read_run(make_run(tmp_path, "b", bpb=1.5))]
    rows = compare_runs(runs)
    assert [row["name"] for row in rows] == ["b", "a"]
    lines = text_table(rows).splitlines()
    assert re.split(r"\s{2,}", lines[3])[:3] == ["a", "2.0000", "–"]
    assert markdown_table(rows).splitlines()[2].startswith("| b | 1.5000 | 3.2500 | – |")


def test_large_numbers_are_short_and_right(tmp_path):
    """999,616 parameters are 1M, not 1e+03k."""
    for count, shown in ((999_616, "1M"), (999_400, "999k"), (12, "12"), (7_192_495_104, "7.19B")):
        run = read_run(make_run(tmp_path / shown, "a", parameters=count))
        assert shown in re.split(r"\s+", text_table(compare_runs([run])).splitlines()[2])


def test_runs_of_one_name_are_told_apart(tmp_path):
    """Three seeds of one config have one name."""
    runs = [read_run(make_run(tmp_path / seed, "a")) for seed in "12"]
    assert len({row["name"] for row in compare_runs(runs)}) == 2


def test_different_texts_are_not_compared_in_silence(tmp_path):
    """Bits per byte of different bytes cannot be compared, and a table invites to."""
    rows = compare_runs([read_run(make_run(tmp_path, "a")), read_run(make_run(tmp_path, "b", bytes=7))])
    assert "a: 1000 bytes" in same_bytes(rows) and "b: 7 bytes" in same_bytes(rows)
    assert same_bytes(rows[:1]) == ""


def test_the_plot_shows_evaluations_references_and_both_axes(tmp_path):
    """The figure is the result that people look at: its data must be the runs' own."""
    figure = bpb_figure([read_run(make_run(tmp_path, "a")), read_run(make_run(tmp_path, "b"))])
    left, right = figure.axes
    curve = next(line for line in left.lines if str(line.get_label()).startswith("a "))
    assert list(curve.get_xdata()) == [0.01, 0.02, 0.03, 0.04] and list(curve.get_ydata()) == [10, 5, 100 / 30, 2.5]
    assert list(right.lines[1].get_xdata()) == [10 / 60, 20 / 60, 130 / 60, 140 / 60]
    assert {text.get_text() for text in right.texts} == {"order 0 4.50", "gzip 2.90", "xz 2.70"}
    assert "MB" in left.get_xlabel() and "minutes" in right.get_xlabel() and "bits per byte" in left.get_ylabel()


def test_a_comparison_writes_its_table_and_its_plot(tmp_path):
    """`experiments/compare.py` prints what this returns."""
    runs = [read_run(make_run(tmp_path, "a")), read_run(make_run(tmp_path, "b"))]
    text = write_comparison(runs, tmp_path / "out")
    assert text.startswith("run") and str(tmp_path / "out" / "bpb.png") in text
    assert "| a | 2.0000" in (tmp_path / "out" / "table.md").read_text()
    with Image.open(tmp_path / "out" / "bpb.png") as picture:
        assert picture.size[0] > 1000 and len(picture.convert("L").getcolors()) > 50


def test_the_script_compares_and_names_a_missing_run(tmp_path, capsys):
    """The command of the README has to work, and to fail with one line."""
    main = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "compare.py"))["main"]
    run, out = make_run(tmp_path, "a"), tmp_path / "out"
    assert main([str(run), f"--out={out}"]) == 0 and (out / "bpb.png").exists()
    assert "2.0000" in capsys.readouterr().out
    assert main([str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no run directory" in error
