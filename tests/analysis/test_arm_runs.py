"""What an arm of a comparison goes through, and how its speed is measured."""

import json

import pytest
from samples import small_config

from lexitok.analysis import read_run
from lexitok.analysis.arm_runs import Plan, arms_of, best_rate, run_arm
from lexitok.analysis.arm_speeds import ArmSpeed, measure_arms, speeds_table
from lexitok.analysis.equal_flops import cost
from lexitok.analysis.evaluating import evaluate_run, evaluate_sources

WORDS = "the small ship went over the old sea and came to the old town again. " * 12


def make_config(source):
    c = small_config("bytes")
    c.name, c.data.source, c.data.rows, c.data.symbols = "small", source, 8, 64
    c.eval.bytes = 2000
    c.optimizer.warmup = 0
    return c


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The runs of one arm."""
    out = tmp_path_factory.mktemp("family")
    for split in ("train", "validation"):
        lines = (json.dumps({"text": f"{i} {WORDS}"}) for i in range(12))
        (out / f"{split}.jsonl").write_text("\n".join(lines))
    source = f"jsonl:{out}/{{split}}.jsonl"
    steps = 4000 / cost(make_config(source)).bytes_per_step
    plan = Plan(out, sweep_steps=steps / 2, steps=steps, rates=(1e-5, 3e-2), seeds=1, probe_bytes=1000)
    runs = run_arm(lambda: make_config(source), "small", plan)
    return plan, runs


@pytest.mark.slow
def test_the_best_rate_of_the_sweep_is_taken(found):
    """Each arm is compared at its own best learning rate; a rate that learns nothing must lose."""
    plan, (run,) = found
    swept = {rate: read_run(plan.out / "small" / f"rate_{rate:g}").result["bpb"] for rate in plan.rates}
    assert swept[3e-2] < swept[1e-5]
    assert best_rate(plan.out / "small") == run.config.optimizer.lr == 3e-2
    assert run.result["robustness"]["swap"]["increase"] != 0
    assert run.result["train_bytes"] == pytest.approx(4000, rel=0.2)


@pytest.mark.slow
def test_what_is_there_is_not_done_again(found, monkeypatch):
    """A comparison of an hour that was interrupted goes on where it was."""
    plan, (run,) = found
    monkeypatch.setattr("lexitok.analysis.arm_runs.train", None)
    source = run.config.data.source
    (again,) = run_arm(lambda: make_config(source), "small", plan)
    assert again.result == run.result


@pytest.mark.slow
def test_speeds_are_of_each_arm_in_turn(found):
    """The medians are what the table of the comparison shows."""
    _, (run,) = found
    (speed,) = measure_arms([run], rounds=1, steps=2)
    result = read_run(run.path).result
    assert result["train_bytes_per_second"] == speed.train[0] > 0
    assert result["decode_bytes_per_second"] == speed.decode[0] > 0


def test_ratios_are_within_a_round():
    """A machine that is twice as slow in the second round must not show in the ratios."""
    table = speeds_table([ArmSpeed("a", (100.0, 50.0), (10.0, 20.0)), ArmSpeed("b", (200.0, 100.0), (5.0, 20.0))])
    assert table.splitlines()[-1] == "| b | 150 | 2.00 (2.00..2.00) | 12 | 0.75 (0.50..1.00) |"


def test_an_unknown_arm_is_named():
    """A slip of the pen must not start an hour of runs."""
    with pytest.raises(ValueError, match="no arm 'hatt'; there are hat"):
        arms_of({"hat": "hat.py"}, ["hatt"])
    assert arms_of({"hat": "hat.py"}, []) == ["hat"]


@pytest.mark.slow
def test_several_sources_are_measured_as_each_by_itself(found, tmp_path):
    """A table of languages must say what each of its lines would say alone."""
    _, (run,) = found
    (tmp_path / "validation.jsonl").write_text(json.dumps({"text": "another town"}))
    sources = [run.config.data.source, f"jsonl:{tmp_path}/{{split}}.jsonl"]
    table = list(evaluate_sources(run, sources, max_bytes=2000))
    alone = [evaluate_run(run, source=source, max_bytes=2000) for source in sources]
    assert [e.bpb for e in table] == [e.bpb for e in alone] and table[0].bpb != table[1].bpb
    assert table[1].summary()["bytes"] == len("another town")
