"""A run under a new tokenizer: opened, evaluated, trained on, exported as any other; or refused, and nothing left."""

import json

import jax
import numpy as np
import pytest
from tiny_runs import DOCUMENTS, subword_run, tokenizer_file

from lexitok.analysis.samples import write_samples
from lexitok.evals import evaluate
from lexitok.hub import HubError, load
from lexitok.hub.conversion import from_run, to_run
from lexitok.interfaces.table import Table
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.loop import train
from lexitok.transfer.audit import CLASSES, count_classes
from lexitok.transfer.errors import TransferError
from lexitok.transfer.materials import Materials
from lexitok.transfer.methods import make_method
from lexitok.transfer.model import transfer
from lexitok.transfer.runs import rounded, special_ids, transfer_run

MEAN = make_method("mean")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small subword model of three steps, and where its text and tokenizers are."""
    root = tmp_path_factory.mktemp("transfer")
    subword_run(root)
    return root


def test_a_run_under_a_new_tokenizer_is_a_run(run):
    """Its rows are those of the transfer; it is evaluated, writes, trains on, and says where each row is from."""
    report = transfer_run(run / "run", tokenizer_file(run, "bpe", 360), run / "new", method_in="mean", multiple=100)
    assert "340 ids before, 400 now" in report and (run / "new" / "transfer.md").read_text() == report
    assert all(name in report for name in ("digits", "white space", "| `1234567` | `"))
    old, old_encoder = load_model(run / "run")
    model, encoder = load_model(run / "new")
    expected = transfer(old, old_encoder.tokenizer, encoder.tokenizer, method_in=MEAN)
    for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(expected.model), strict=True):
        np.testing.assert_array_equal(a, b)
    for side in ("rows_in", "rows_out"):
        lines = (run / "new" / f"{side}.jsonl").read_text().splitlines()
        assert len(lines) == 400 and all(json.loads(line)["id"] == i for i, line in enumerate(lines))
        assert sum('"kind": "made"' in line for line in lines) > 5
    found = evaluate(model, encoder, DOCUMENTS, rows=2, symbols=64, units=8, overlap=0.5).summary()
    assert found["fraction_scored"] == 1 and found["lossy_documents"] == 0 and 1 < found["bpb"] < 10
    assert write_samples(run / "new", max_bytes=8)
    config = read_config(run / "run")
    with config.unlocked():
        config.text.vocabulary.path = str(run / "new" / "vocabulary.model")
        config.train.start.run = str(run / "new")
        config.train.steps = 1
    assert train(config, run / "on")["steps"] == 1


def test_a_checkpoint_goes_through(run, tmp_path):
    """In as the layout of others, out as it again: its config has the new specials and the new size."""
    from_run(run / "run", tmp_path / "hf")
    to_run(tmp_path / "hf", tmp_path / "as_run")
    transfer_run(tmp_path / "as_run", tokenizer_file(run, "bpe", 360), tmp_path / "new", method_in="mean")
    from_run(tmp_path / "new", tmp_path / "out")
    keys = json.loads((tmp_path / "out" / "config.json").read_text())
    again = load(tmp_path / "out")
    vocabulary = again.tokenizer.vocabulary
    assert keys["vocab_size"] == vocabulary.size == 360 and isinstance(again.model.interface, Table)
    assert (keys["bos_token_id"], keys["eos_token_id"]) == (vocabulary.bos, vocabulary.eot)


def test_nothing_half_written_is_left(run, tmp_path, monkeypatch):
    """What cannot be read back, or is refused, is as if it had never been tried."""
    before = sorted(path.name for path in tmp_path.iterdir())
    unigram = tokenizer_file(run, "bpe", 360)
    monkeypatch.setattr(
        "lexitok.transfer.read_back._greedy", lambda *a, **k: (_ for _ in ()).throw(FloatingPointError("no"))
    )
    with pytest.raises(FloatingPointError):
        transfer_run(run / "run", unigram, tmp_path / "new", method_in="mean")
    monkeypatch.undo()
    (tmp_path / "there").mkdir()
    with pytest.raises(HubError, match="there is something at"):
        transfer_run(run / "run", unigram, tmp_path / "there", method_in="mean")
    with pytest.raises(FileNotFoundError, match="no tokenizer at"):
        transfer_run(run / "run", tmp_path / "nowhere.model", tmp_path / "new", method_in="mean")
    with pytest.raises(TransferError, match="multiple is 0"):
        transfer_run(run / "run", unigram, tmp_path / "new", method_in="mean", multiple=0)
    with pytest.raises(TransferError, match="the new tokenizer has no special '<x>'; it has <unk>, <s>"):
        transfer_run(run / "run", unigram, tmp_path / "new", method_in="mean", specials={"<x>": "<s>"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [*before, "there"]


def test_rows_of_another_model_are_vectors_of_the_tokens(run, tmp_path):
    """A model that was trained with the new tokenizer says which tokens are alike; with another it says nothing."""
    unigram = tokenizer_file(run, "bpe", 360)
    transfer_run(run / "run", unigram, tmp_path / "donor", method_in="gaussian")
    transfer_run(
        run / "run",
        unigram,
        tmp_path / "new",
        method_in="neighbours",
        materials=Materials(tmp_path / "donor"),
        multiple=100,
    )
    lines = [json.loads(line) for line in (tmp_path / "new" / "rows_in.jsonl").read_text().splitlines()]
    made = [line for line in lines if line["kind"] == "made"]
    assert made and all(sum(weight for *_, weight in line["from"]) <= 1 + 1e-4 for line in made)
    with pytest.raises(TransferError, match="are not those of the new tokenizer"):
        transfer_run(run / "run", unigram, tmp_path / "no", method_in="neighbours", materials=Materials(run / "run"))
    with pytest.raises(TransferError, match="'neighbours' needs vectors_VxA"):
        transfer_run(run / "run", unigram, tmp_path / "no", method_in="neighbours")


def test_specials_are_said_by_their_spelling(run):
    """Ids of specials are known by nobody."""
    vocabulary = SentencePieceTokenizer.load(tokenizer_file(run, "bpe", 360)).vocabulary
    assert special_ids(vocabulary, vocabulary, {"</s>": "<s>"}) == {vocabulary.eot: vocabulary.bos}
    with pytest.raises(TransferError, match="the new tokenizer has no special '<sep>'"):
        special_ids(vocabulary, vocabulary, {"<sep>": "<s>"})


def test_the_audit_counts_every_token_once(run):
    """A class that a token falls through would hide what happened to it."""
    source = SentencePieceTokenizer.load(tokenizer_file(run, "bpe", 340))
    target = SentencePieceTokenizer.load(tokenizer_file(run, "bpe", 360))
    rows = np.random.default_rng(0).normal(size=(340, 4)).astype(np.float32)
    from lexitok.transfer.rows import init_embeddings

    provenance = init_embeddings(source, target, rows, None, method_in=MEAN).entering.provenance
    found = count_classes(target.vocabulary, provenance)
    assert sum(count.tokens for count in found.values()) == (target.vocabulary.lengths > 0).sum()
    assert found["digits"].tokens >= 10 and set(found) <= set(CLASSES)
    for pattern, token in (
        ("digits", b" 12"),
        ("white space", b"\n  "),
        ("code", b" +="),
        ("English letters", b" cat"),
        ("several words", b"s of the"),
    ):
        assert next(name for name, p in CLASSES.items() if p.fullmatch(token)) == pattern
    assert rounded(target, 2).vocabulary.size == 360 and rounded(target, 100).vocabulary.size == 400
