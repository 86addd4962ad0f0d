"""Several interfaces over one backbone: each is what the model with it alone is, in batches of all of them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import made
from tiny_runs import DOCUMENTS, subword_run, tokenizer_file

from lexitok.config import binary, hydra, table
from lexitok.config.files import load_config
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.layout import make_piece
from lexitok.data.readers import RawDocument
from lexitok.data.rows import pack_rows
from lexitok.evals import evaluate
from lexitok.evals.evaluate import evaluate_by_source
from lexitok.inference.decoder import Decoder
from lexitok.models.build import model_for
from lexitok.ops.read_out import Query
from lexitok.runs.load import load_model
from lexitok.runs.metrics import read_metrics
from lexitok.runs.run import read_config
from lexitok.text.joint_tokenizer import JointTokenizer, ends_of
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tokenizer_files import tokenizer_from_bytes
from lexitok.training.loop import train
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError
from lexitok.transfer.errors import TransferError
from lexitok.transfer.hydra import join_runs, part_as_run, part_of
from lexitok.transfer.runs import transfer_run

SMALL = [f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16")]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    root = tmp_path_factory.mktemp("joint")
    files = {"old": tokenizer_file(root, "bpe", 320), "new": tokenizer_file(root, "bpe", 360)}
    return {name: SentencePieceTokenizer.load(path) for name, path in files.items()}


@pytest.fixture(scope="module")
def several(tokenizers):
    """A model of a table and of codes, with the joint tokenizer of both."""
    joint = JointTokenizer(tokenizers)
    c = load_config("configs/subword.py:tiny", SMALL)
    with c.unlocked():
        c.model.interface = hydra({"old": (320, table(tied="yes")), "new": (360, binary())})
    return made(c, joint)[0], joint


def batch_of(encoders, symbols=96):
    """A row for each encoder's document."""
    streams = [encoder.encode(DOCUMENTS[i % 3][:80]) for i, encoder in enumerate(encoders)]
    rows = [[make_piece(stream, 0, len(stream))] for stream in streams]
    return jax.tree.map(jnp.asarray, pack_rows(rows, symbols=symbols, units=None, pad=encoders[0].vocabulary.pad))


@pytest.mark.parametrize("name", ["old", "new"])
def test_each_is_its_model_alone(several, name):
    """In a batch with rows of both: nats, log-normalisers, the largest logits and their ids, columns and masses."""
    model, joint = several
    start, size = joint.starts[name], joint.parts[name].vocabulary.size
    together = batch_of([SubwordEncoder(joint.speaking(part)) for part in ("old", "new", "old", "new")])
    alone = batch_of([SubwordEncoder(joint.parts[name])] * 4)
    rows = [i for i, part in enumerate(("old", "new", "old", "new")) if part == name]
    columns = jnp.full((4, 96, 2), 5, jnp.int32)
    groups = jnp.arange(680, dtype=jnp.int32) % 3
    asked = Query(columns_BxSxC=columns + start, group_of_V=groups, groups=3, top_k=2)
    found = model.read_out(together, asked)[0]
    own = Query(columns_BxSxC=columns, group_of_V=groups[start : start + size], groups=3, top_k=2)
    expected = part_of(model, name).read_out(alone, own)[0]
    scored = np.asarray(alone.tokens.weights_BxS[rows[0]]) > 0
    for field in dataclasses.fields(found):
        a, b = (np.asarray(getattr(each, field.name))[rows][:, scored] for each in (found, expected))
        np.testing.assert_allclose(a - start * (field.name == "top_ids_BxSxk"), b, rtol=1e-5, atol=1e-5)
    logits = np.asarray(model.logits(together))[rows][:, scored, start : start + size]
    np.testing.assert_allclose(logits, part_of(model, name).logits(alone)[jnp.array(rows)][:, scored], atol=1e-5)


def test_it_is_evaluated_as_each_alone(several):
    model, joint = several
    how = {"rows": 2, "symbols": 64, "units": 8, "overlap": 0.5}
    for name, tokenizer in joint.parts.items():
        together = evaluate(model, SubwordEncoder(joint.speaking(name)), DOCUMENTS, **how)
        alone = evaluate(part_of(model, name), SubwordEncoder(tokenizer), DOCUMENTS, **how)
        np.testing.assert_allclose(
            [document.nats for document in together.documents],
            [document.nats for document in alone.documents],
            rtol=1e-5,
        )


def test_documents_are_read_as_their_sources_are(several):
    """In the order in which they came, each with the nats that it has by itself."""
    model, joint = several
    how = {"rows": 2, "symbols": 64, "units": 8, "overlap": 0.5}
    encoders = [SubwordEncoder(joint.speaking(name)) for name in ("old", "new")]
    documents = [RawDocument(str(i), DOCUMENTS[i % 3], source) for i, source in enumerate((0, 1, 1, 0))]
    found = evaluate_by_source(model, encoders, documents, **how)
    for document, score in zip(documents, found.documents, strict=True):
        (alone,) = evaluate(model, encoders[document.source], [document.data], **how).documents
        assert (score.nbytes, score.nats) == (alone.nbytes, pytest.approx(alone.nats, rel=1e-5))
    assert found.counts["bytes_read"] >= sum(len(document.data) for document in documents)


def test_it_is_not_decoded_as_one(several):
    """Tokens of all parts at once are no text."""
    model, joint = several
    with pytest.raises(ValueError, match=r"several interfaces \(new, old\) is decoded by one"):
        Decoder(model, SubwordEncoder(joint), 1, 32)


def test_a_joint_tokenizer_is_kept_whole(tokenizers):
    joint = JointTokenizer(tokenizers, "new")
    again = tokenizer_from_bytes(joint.to_bytes())
    assert again.speaker == "new" and again.vocabulary.fingerprint == joint.vocabulary.fingerprint
    assert ends_of(again, again.vocabulary) == (
        tokenizers["new"].vocabulary.eot,
        tokenizers["old"].vocabulary.eot + 360,
    )
    for name in tokenizers:
        encoding = again.speaking(name).encode(DOCUMENTS[0])
        assert (encoding.ids - joint.starts[name] == tokenizers[name].encode(DOCUMENTS[0]).ids).all()
        assert again.vocabulary.decode(encoding.ids) == tokenizers[name].vocabulary.decode(
            encoding.ids - joint.starts[name]
        )
    cut = json.loads(joint.to_bytes())
    cut["parts"][0][1] = cut["parts"][0][1][:40]
    with pytest.raises(ValueError, match="a damaged tokenizer of the kind 'joint'"):
        tokenizer_from_bytes(json.dumps(cut).encode())
    for parts, speaker, message in (({}, "", "one part"), (tokenizers, "x", "no part 'x'"), ({"a": joint}, "", "'a'")):
        with pytest.raises(ValueError, match=message):
            JointTokenizer(parts, speaker)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, the same under another tokenizer, and both together."""
    root = tmp_path_factory.mktemp("hydra")
    subword_run(root)
    transfer_run(root / "run", tokenizer_file(root, "bpe", 360), root / "moved", method_in="mean")
    join_runs({"old": root / "run", "new": root / "moved"}, root / "both")
    return root


def test_parts_come_out_as_they_went_in(runs, tmp_path):
    for name, run in (("old", "run"), ("new", "moved")):
        part_as_run(runs / "both", name, tmp_path / name)
        (model, encoder), (before, own) = load_model(tmp_path / name), load_model(runs / run)
        assert encoder.vocabulary.fingerprint == own.vocabulary.fingerprint
        for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(before), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_both_are_trained_together(runs, tmp_path):
    """Each source in its part's tokens, on a mesh; all bytes are scored, and both tables and the backbone move."""
    c = read_config(runs / "both").copy_and_resolve_references()
    with c.unlocked():
        c.text.vocabulary.path = str(runs / "both" / "vocabulary.model")
        c.train.start.run = str(runs / "both")
        c.data.source, c.data.parts = f"{c.data.source} + 2*{c.data.source}", ("old", "new")
        c.mesh.data, c.mesh.fsdp, c.mesh.tensor = 2, 2, 2
        c.train.steps, c.train.eval_every = 2, 2
    result = train(c, tmp_path / "on")
    assert result["fraction_scored"] == 1 and 1 < result["bpb"] < 10
    assert all(row["data/fraction_scored"] == 1 for row in read_metrics(tmp_path / "on") if "train/bpb" in row)
    before, after = (load_model(run)[0] for run in (runs / "both", tmp_path / "on"))
    for name in ("old", "new"):
        assert (np.asarray(before.interface.parts[name].table) != np.asarray(after.interface.parts[name].table)).any()
    pairs = zip(jax.tree.leaves(before.backbone), jax.tree.leaves(after.backbone), strict=True)
    assert all((np.asarray(a) != np.asarray(b)).any() for a, b in pairs)
    part_as_run(tmp_path / "on", "new", tmp_path / "new")
    assert load_model(tmp_path / "new")[1].vocabulary.size == 360
    c.data.parts = ("old",)
    with pytest.raises(ValueError, match="names 1 parts, and data.source has 2 sources"):
        train(c, tmp_path / "no")
    c.data.parts = ("old", "neu")
    with pytest.raises(ValueError, match="no part 'neu'; there are new, old"):
        train(c, tmp_path / "no")
    c.data.tokenizers = "drawn"
    with pytest.raises(SetupError, match=r"data.parts needs data.tokenizers 'own'"):
        make_setup(c)
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_joined_is_refused(runs, tmp_path):
    both = {"old": runs / "run", "new": runs / "moved"}
    cases = (
        ({"old": runs / "run"}, {}, "two runs at least"),
        (both, {"backbone": "x"}, "no run is called 'x'; there are old, new"),
        ({**both, "all": runs / "both"}, {}, "'all' is a joint tokenizer itself"),
    )
    for given, how, message in cases:
        with pytest.raises((TransferError, ValueError), match=message):
            join_runs(given, tmp_path / "no", **how)
    with pytest.raises(TransferError, match="has no part 'x'; there are new, old"):
        part_as_run(runs / "both", "x", tmp_path / "no")
    with pytest.raises(TransferError, match="and not several interfaces"):
        part_as_run(runs / "run", "old", tmp_path / "no")
    assert not (tmp_path / "no").exists()
    c = load_config("configs/subword.py:tiny", SMALL)
    with c.unlocked():
        c.model.interface = hydra({"old": (300, table())})
    with pytest.raises(ValueError, match=r"300 \(old\) symbols, and the text's vocabulary has 320"):
        encoder = SubwordEncoder(SentencePieceTokenizer.load(tokenizer_file(tmp_path, "bpe", 320)))
        jax.eval_shape(lambda: model_for(c, encoder)(nnx.Rngs(0)))
