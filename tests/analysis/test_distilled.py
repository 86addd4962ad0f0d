"""Losses between models of different tokenizers, compared under one recipe."""

import re

import pytest
from samples import CONFIGS, TEXT

from lexitok.analysis.arm_runs import Plan
from lexitok.analysis.distilled import compare_losses, loss_changes
from lexitok.config.files import load_config
from lexitok.training.loop import train

STACK = tuple(f"model.backbone.{axis}" for axis in ("D=32", "L=1", "H=2", "K=2", "N=16", "F=48"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("text", ["objective.weighting.kind=fixed"]),
        ("alm", ["objective.losses.alm.weight=1.0", "objective.weighting.kind=fixed"]),
        (
            "alm+hidden_states/gradmag",
            [
                *("objective.losses.alm.weight=1.0", "objective.losses.hidden_states.weight=1.0"),
                *("objective.losses.hidden_states.project=True", "objective.weighting.kind=gradmag"),
            ],
        ),
    ],
)
def test_an_arm_is_what_it_is_called(spec, expected):
    """Losses, and how they are weighed."""
    assert loss_changes(spec) == expected


@pytest.mark.parametrize("spec", ["kl", "alm+", "alm/pcgrad", "", "alm gold"])
def test_losses_that_there_are_not_are_named(spec):
    """With those that there are."""
    with pytest.raises(ValueError, match=re.escape(f"'{spec}' names no losses") + ".*next_symbol, alm.*gradnorm"):
        loss_changes(spec)


@pytest.mark.slow
def test_losses_are_compared_under_one_recipe(tmp_path):
    """The text alone also for as many FLOPs: it has no teacher to read, and so more steps."""
    (tmp_path / "texts").mkdir()
    for i in range(24):
        (tmp_path / "texts" / f"{i}.txt").write_text(f"{i} {TEXT.decode()} " * 3)
    source = [f"data.source=text:{tmp_path}/texts/*.txt", f"data.cache={tmp_path}/cache", "text.vocabulary.size=330"]
    small = [*STACK, "data.rows=8", "eval.bytes=2000", "optimizer.warmup=1"]
    settings = [*source, "data.symbols=96", "train.steps=20"]
    train(load_config(f"{CONFIGS}/subword.py:tiny", [*small, *settings]), tmp_path / "teacher")
    plan = Plan(tmp_path / "out", sweep_steps=2, steps=4, rates=(1e-3, 1e-2), seeds=2, probe_bytes=0)
    changes = [*small, "data.symbols=160", "objective.teacher.symbols=96"]
    runs = compare_losses(str(tmp_path / "teacher"), "bytes", ["text", "alm/gradmag"], plan, changes=changes)
    assert [run.name for run in runs] == [
        *["bytes text"] * 2,
        *["bytes alm/gradmag"] * 2,
        *["bytes text for as many FLOPs"] * 2,
    ]
    steps = [run.result["steps"] for run in runs]
    assert steps[:4] == [4] * 4 and steps[4] == steps[5] > 4
    flops = [run.result["train_flops"] for run in runs]
    assert flops[4] == pytest.approx(flops[2], rel=0.2)
