"""Probes from a run directory to a table and a plot."""

import functools
import json

import jax
import numpy as np
import optax
import pytest
from samples import TEXT, made, small, small_config

from lexitok import config as C
from lexitok.analysis import save
from lexitok.analysis.curves import Line, Panel, curves_figure
from lexitok.analysis.probe_reports import decipher_report, in_context_report, layers_report, positions_report
from lexitok.analysis.subjects import Subject, open_subjects, short_names
from lexitok.config.files import to_json
from lexitok.data.encoders import make_encoder
from lexitok.models.build import model_for
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.checkpoints.manager import Checkpoints
from lexitok.sharding import make_mesh
from lexitok.training.state import StateMaker

DOCUMENTS = [TEXT[i : i + 60] + b" the cat sat on the mat. " * 2 for i in range(0, 24, 4)]
SHAPE = {"symbols": 48, "rows": 4}


@functools.cache
def subjects() -> tuple[Subject, Subject]:
    c = small_config("bytes")
    c.model.interface = C.lexinvariant()
    return Subject("learned", *small("bytes")), Subject("lexinvariant", *made(c))


@pytest.fixture
def reports(request):
    """The report that is asked for, of two models."""
    makers = {
        "positions": lambda s: positions_report(s, DOCUMENTS, **SHAPE),
        "decipher": lambda s: decipher_report(s, DOCUMENTS, **SHAPE, steps=3, width=8),
        "in_context": lambda s: in_context_report(
            s, DOCUMENTS, content=16, pairs=(1, 4), size=3, examples=(1, 2), prompts=4, rows=4
        ),
        "layers": lambda s: layers_report(s, s[0], DOCUMENTS, **SHAPE, least=2, k=3),
    }
    return makers[request.param](subjects())


@pytest.mark.parametrize("reports", ["positions", "decipher", "in_context", "layers"], indirect=True)
@pytest.mark.slow
def test_a_report_names_every_model_and_is_drawn(reports, tmp_path):
    """What a script prints and saves."""
    assert all(name in reports.text for name in ("learned", "lexinvariant"))
    lines = [line for line in reports.text.splitlines() if line.startswith("|")]
    assert len(lines) >= 4 and "nan" not in reports.text
    assert save(reports.figure, tmp_path / "plot.png").stat().st_size > 10_000


def test_the_gap_of_the_first_run_is_none():
    """The reference stands in the table, too."""
    text = positions_report(subjects(), DOCUMENTS, **SHAPE).text
    first, second = text.split("**lexinvariant**")
    ratios = [[line.split("|")[8].strip() for line in part.splitlines() if ".." in line] for part in (first, second)]
    assert set(ratios[0]) == {"1.000"} and set(ratios[1]) != {"1.000"}


def test_runs_are_opened_with_the_text_of_the_first(tmp_path):
    """All models read the same documents, and a run may be named twice, as a run and as the reference."""
    config = small_config("bytes")
    (tmp_path / "validation.jsonl").write_text(
        "\n".join(json.dumps({"text": d.decode(errors="ignore")}) for d in DOCUMENTS)
    )
    config.data.source, config.data.cache = f"jsonl:{tmp_path}/{{split}}.jsonl", str(tmp_path / "cache")
    encoder, path = make_encoder(config.text), tmp_path / "learned"
    make, optimizer, mesh = model_for(config, encoder), optax.adam(1e-3), make_mesh(fsdp=8, data=1)
    states = StateMaker(make, optimizer)
    state = states.init(states.abstract(mesh), 3)
    with Checkpoints(path, RunRecord(config, b"")) as checkpoints:
        checkpoints.save(1, state)
    (path / "config.json").write_text(to_json(config))
    (a, b), documents = open_subjects([path, path], max_bytes=300)
    assert a.name == b.name == "learned" and 1 <= len(documents) < len(DOCUMENTS)
    for x, y in zip(jax.tree.leaves(a.model), jax.tree.leaves(state.model), strict=True):
        np.testing.assert_array_equal(x, y)


def test_names_are_as_short_as_they_can_be():
    """Seeds of one arm lie in folders of one name."""
    assert short_names(["runs/a", "runs/b", "runs/a"]) == ["a", "b", "a"]
    assert short_names(["runs/a/seed_0", "runs/b/seed_0"]) == ["a/seed_0", "b/seed_0"]


def test_lines_of_one_label_have_one_colour():
    """A run that is blue in one panel and orange in the next misleads."""
    x = np.arange(1.0, 4.0)
    a, b = Line("a", x, x, x / 10), Line("b", x, -x)
    levels = {"chance": 1.5}
    figure = curves_figure([Panel([a, b], "one", "x", "y"), Panel([b], "two", "x", "y", x_scale="log", levels=levels)])
    left, right = figure.axes
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    assert right.get_xscale() == "log" and len(left.collections) == 1 and right.lines[1].get_ydata()[0] == 1.5
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b"]
    with pytest.raises(ValueError, match="no panels"):
        curves_figure([])
