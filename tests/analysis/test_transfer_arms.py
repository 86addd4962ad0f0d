"""Ways to give a model a new tokenizer are measured once each, on the same text, and told in one table."""

import dataclasses
import json

import numpy as np
import pytest
from tiny_runs import subword_run, tokenizer_file

from lexitok.analysis.transfer_arms import Arm, Comparison, Measurements, compare_transfers
from lexitok.analysis.transfer_tables import transfer_table
from lexitok.config.files import ConfigError
from lexitok.config.flags import named_values
from lexitok.runs.run import read_config
from lexitok.transfer.errors import TransferError


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    root = tmp_path_factory.mktemp("arms")
    run = subword_run(root)
    tokenizers = {"same": run / "vocabulary.model", "other": tokenizer_file(root, "bpe", 360)}
    sources = {"texts": f"text:{root}/texts/*.txt"}
    return Comparison(run, tokenizers, [("mean", ""), ("last", "first")], sources, questions=2)


@pytest.mark.slow
def test_arms_are_measured_once_and_the_same_tokenizer_changes_nothing(comparison, tmp_path, monkeypatch):
    one = dataclasses.replace(comparison, methods=[("mean", "")])
    found = compare_transfers(one, tmp_path)
    original, same, other = (found[Arm(*way)] for way in (("original",), ("same", "mean"), ("other", "mean")))
    assert (
        original["texts"] == same["texts"] and original["texts"]["texts"]["bytes"] == other["texts"]["texts"]["bytes"]
    )
    assert original["texts"]["texts"]["nats"] != other["texts"]["texts"]["nats"]
    monkeypatch.setattr("lexitok.analysis.transfer_arms.measured", None)  # what is there is not measured again
    again = compare_transfers(one, tmp_path)
    assert again == found
    with pytest.raises(TransferError, match="of other texts or questions"):
        compare_transfers(dataclasses.replace(one, questions=3), tmp_path)
    table = transfer_table(again).splitlines()
    assert len(table) == 5 and "| same | mean | the same | – |" in table[3]
    assert "+0.000 [+0.000, +0.000]" in table[3] and "+0.000 [+0.000" not in table[4]


@pytest.mark.slow
def test_after_a_continued_training(comparison, tmp_path):
    """It is of the run that the transfer wrote, and what is measured is the model that was trained."""
    tokenizers = {"other": comparison.tokenizers["other"]}
    few = dataclasses.replace(comparison, tokenizers=tokenizers, methods=[("last", "first")], steps=1)
    found = compare_transfers(few, tmp_path)
    at_once, later = (found[Arm("other", "last", "first", steps)]["texts"]["texts"]["nats"] for steps in (0, 1))
    assert at_once != later
    config = read_config(tmp_path / "other_last_first" / "steps_1_seed_0")
    assert config.train.start.run == str(tmp_path / "other_last_first" / "start")


def test_a_table_is_made_of_what_was_measured(tmp_path):
    """By hand: two texts of one document, two seeds."""
    measurements = Measurements(tmp_path / "measurements.jsonl")

    def row(nats: float) -> dict:
        texts = {name: {"nats": [nats * np.log(2)], "bytes": [100], "tokens_per_byte": 0.25} for name in ("a", "b")}
        score = {"accuracy": 0.5, "error": 0.1, "questions": 2}
        return {"texts": texts, "digits": {"copying": score, "adding": score}, "seconds": 1.0}

    measurements.get(Arm("original"), lambda: row(100.0))
    for seed, nats in enumerate((150.0, 250.0)):
        measurements.get(Arm("other", "mean", "", 5, seed), lambda nats=nats: row(nats))
    last = transfer_table(Measurements(tmp_path / "measurements.jsonl").of).splitlines()[-1]
    spread = "2.000 [1.500, 2.500]"
    assert last.startswith(
        f"| other | mean | the same | 5 | {spread} | {spread} | {spread} | +1.000 [+1.000, +1.000] | 0.250"
    )
    assert json.loads((tmp_path / "measurements.jsonl").read_text().splitlines()[0])["arm"]["tokenizer"] == "original"
    with pytest.raises(ValueError, match="nothing was measured"):
        transfer_table({})
    other = {Arm("original"): row(120.0), Arm("other", "mean", "", 5): row(260.0), Arm("other", "last"): row(1.0)}
    first, last = transfer_table(measurements.of, other).splitlines()[2:]
    assert first.startswith(f"| original | – | – | – | {'1.100 [1.000, 1.200] | ' * 3}–")
    spread = "2.200 [1.500, 2.600]"  # three of each document, whichever model they are of
    assert last.startswith(f"| other | mean | the same | 5 | {spread} | {spread} | {spread} | +1.100 [+1.100, +1.100]")
    with pytest.raises(ValueError, match="no way was measured of all models"):
        transfer_table(measurements.of, {Arm("another", "mean"): row(1.0)})
    shorter = row(1.0)
    shorter["texts"]["a"]["bytes"] = [99]
    with pytest.raises(ValueError, match="on different texts"):
        transfer_table(measurements.of, {Arm("original"): shorter})


def test_values_have_names():
    assert named_values("source", ["a=x=y", "b=z"]) == {"a": "x=y", "b": "z"}
    for pairs, message in ((["x"], "'x' is no NAME=VALUE"), (["a=x", "a=y"], "'a' comes twice")):
        with pytest.raises(ConfigError, match=message):
            named_values("source", pairs)
