"""Runs whose models get more tokens: what was there stays to the last bit, and the report says what came."""

import json

import jax
import numpy as np
import pytest
from flax import nnx
from greedy import SOURCE, WORDS, Greedy
from samples import TEXT, batch_of_ids

from lexitok import config as C
from lexitok.config.files import load_config
from lexitok.data.encoders import make_encoder
from lexitok.evals.new_mass import mass_table
from lexitok.hub.conversion import HubError, write_run
from lexitok.models.build import model_for
from lexitok.models.token_lm import TokenLM
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import load_model
from lexitok.text.adding.changes import Changed, change_by_list, change_by_text
from lexitok.text.matching import MatchError, match_by_id
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.transfer.adding import ADDED, Text, mass_of_runs, read_tokens, write_changed
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method
from lexitok.transfer.model import transfer
from lexitok.transfer.provenance import COPIED, MADE, SPECIAL
from lexitok.transfer.runs import open_subword

GERMAN = "Die Schneeflocken fallen auf die Schneeflocken. Größe! ".encode() * 8


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small subword model that nobody has trained, as a run, and its text."""
    root = tmp_path_factory.mktemp("adding")
    (root / "texts").mkdir()
    for split in ("train", "validation", "test"):
        (root / "texts" / f"{split}.txt").write_bytes(GERMAN)
    small = [f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16")]
    data = [
        f"data.source=text:{root}/texts/{{split}}.txt",
        f"data.cache={root}/cache",
        "data.rows=8",
        "data.symbols=64",
    ]
    tokenizer = SentencePieceTokenizer.train([TEXT * 3, GERMAN[:30]], kind="bpe", size=320)
    untied = ["model.interface.tied=no", "model.interface.embed_scale=1.0", "text.vocabulary.size=330"]
    config = load_config("configs/subword.py:tiny", [*small, *data, *untied])
    padded = PaddedTokenizer(tokenizer, 330)
    model = model_for(config, make_encoder(config.text, padded))(nnx.Rngs(0))
    write_run(root / "run", RunRecord(config, padded.to_bytes(), {}), model)
    return root


def test_a_run_with_more_tokens(run):
    """Kept rows to the last bit, padding too; the files say what was added, and what mass it takes."""
    opened = open_subword(run / "run")
    changed = change_by_text(opened.tokenizer, Text().documents(opened.config), count=20, prune=4)
    held_out = Text(split="validation")
    report = write_changed(opened, run / "new", changed, held_out=held_out, method_in="mean", multiple=50)
    assert (run / "new" / "transfer.md").read_text() == report
    assert "20 tokens added: `" in report and "4 tokens pruned: `" in report
    assert "Tokens per byte of 456 held-out bytes" in report and "| now | " in report
    new, encoder = load_model(run / "new")
    assert encoder.vocabulary.size == 350
    kept = [i for i in range(330) if i not in changed.added]
    for table in ("table", "head"):
        before, after = (np.asarray(getattr(m.interface, table)[...]) for m in (opened.model, new))
        np.testing.assert_array_equal(after[kept], before[kept])
        assert (np.abs(after[list(changed.added)] - before.mean(0)).max(1) > 0).all()
    lines = [json.loads(line) for line in (run / "new" / ADDED).read_text().splitlines()]
    assert [line["id"] for line in lines if line["what"] == "added"] == list(changed.added)
    assert {line["id"] for line in lines if line["what"] == "pruned"} == set(changed.pruned)
    masses = mass_of_runs({"before": run / "new", "after": run / "new"}, run / "new", held_out)
    assert masses["before"] == masses["after"] and mass_table(masses).count("\n") == 3
    assert masses["before"].new_positions > 20 and f"{masses['before'].where_new:.2e}" in report
    with pytest.raises(TransferError, match="has another tokenizer than"):
        mass_of_runs({"old": run / "run"}, run / "new", held_out)
    with pytest.raises(TransferError, match="is no run that tokens were added to"):
        mass_of_runs({"old": run / "run"}, run / "run", held_out)


def test_nothing_is_left_of_what_is_refused(run, tmp_path):
    """Neither a directory that is there, nor a list that is none."""
    opened = open_subword(run / "run")
    changed = change_by_list(opened.tokenizer, [b"Schneeflocken"])
    how = {"held_out": Text(split="validation"), "method_in": "mean"}
    with pytest.raises(HubError, match="there is something at"):
        write_changed(opened, run / "run", changed, **how)
    with pytest.raises(TransferError, match="unknown method 'median'"):
        write_changed(opened, tmp_path / "new", changed, **{**how, "method_in": "median"})
    assert not list(tmp_path.iterdir())
    with pytest.raises(TransferError, match="no list of tokens at"):
        read_tokens(tmp_path / "tokens.txt")
    (tmp_path / "tokens.txt").write_text(" a\nb \n\n")
    assert read_tokens(tmp_path / "tokens.txt") == [b" a", b"b ", b""]  # which is then refused, as empty
    (tmp_path / "tokens.json").write_text('[" a", "b\\n"]')
    assert read_tokens(tmp_path / "tokens.json") == [b" a", b"b\n"]
    for text, message in (("[1]", "is to be a list of strings"), ("[", "is not JSON")):
        (tmp_path / "tokens.json").write_text(text)
        with pytest.raises(TransferError, match=message):
            read_tokens(tmp_path / "tokens.json")


@pytest.mark.parametrize("tied", ["no", "yes"])
def test_what_is_added_leaves_the_logits_of_others_alone(tied):
    """Their rows and the hidden vectors are the same bits; two ids of one byte and rows of padding stay apart."""
    source = PaddedTokenizer(Greedy((*WORDS, b"a")), 280)  # two ids for one byte
    target = PaddedTokenizer(Greedy((*WORDS, b"a", b"inner", b" hat")), 280)
    added = [3 + 256 + len(WORDS) + 1, 3 + 256 + len(WORDS) + 2]
    c = C.token_lm()
    c.compute_dtype, c.interface.tied = "float32", tied
    c.backbone = C.transformer(D=16, L=1, H=2, K=2, N=8, F=16)
    from ml_collections import FrozenConfigDict

    model = TokenLM(FrozenConfigDict(c), 280, dtype=np.float32, rngs=nnx.Rngs(params=0))
    found = match_by_id(source.vocabulary, target.vocabulary, added)
    done = transfer(model, source, target, method_in=make_method("mean"), found=found)
    ids = source.encode(b"the cat in 123").ids[None]
    before, after = (jax.jit(lambda m, b: m.features(b))(m, batch_of_ids(ids)) for m in (model, done.model))
    np.testing.assert_array_equal(before["hidden"], after["hidden"])
    kept = np.setdiff1d(np.arange(280), added)
    kinds = done.tables.entering.provenance.kind_V
    assert set(kinds[kept].tolist()) == {COPIED, SPECIAL} and (kinds[added] == MADE).all()
    for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(done.model), strict=True):
        a, b = (np.asarray(x)[kept] if x.shape[0] == 280 else np.asarray(x) for x in (a, b))
        np.testing.assert_array_equal(a, b)


def test_ids_that_are_other_tokens_are_not_matched():
    """A row under another token's id is the wrong one."""
    one, other = SOURCE.vocabulary, Greedy((*WORDS[::-1],)).vocabulary
    with pytest.raises(MatchError, match="id 259 is b'the' in the source and b'\\\\xc3\\\\xb6' in the target"):
        match_by_id(one, other, [])
    with pytest.raises(MatchError, match="the target has 259 ids, fewer than"):
        match_by_id(one, Greedy(()).vocabulary, [])
    assert isinstance(Changed(SOURCE, (), {}), Changed)
