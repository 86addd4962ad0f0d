"""Hypernetworks that are trained: begun from a base model that stays as it is, stopped, loaded, used."""

import dataclasses
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from samples import TEXT, batch_of_ids, small_config
from spelled import small_stack

from lexitok import config as C
from lexitok.data.pipeline import train_iterator
from lexitok.data.placement import put_batch
from lexitok.data.spelling import Spelled
from lexitok.hub import HubError, load
from lexitok.hub.conversion import from_run
from lexitok.inference.decoder import Decoder
from lexitok.interfaces.hypernetwork import Hypernetwork, source
from lexitok.interfaces.table import Table
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.files import VOCABULARY, CheckpointError
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.load import load_model
from lexitok.runs.metrics import read_metrics
from lexitok.runs.parameters import read_parameters
from lexitok.runs.vocabularies import VocabularyMismatchError
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.ahead_of_time import compile_step
from lexitok.training.loop import train
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError
from lexitok.transfer.errors import TransferError
from lexitok.transfer.materials import Materials
from lexitok.transfer.runs import transfer_run

pytestmark = pytest.mark.slow  # whole trainings

DOCUMENTS = [TEXT * 2, TEXT[len(TEXT) // 2 :], b"12 345 cats; x += 1\n" * 30]
LEARNT = ("interface.network.", "interface.head_in.", "interface.head_out.")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> tuple[ConfigDict, Path]:
    """The config of a small subword model, and the folder in which `base` is its run of three steps."""
    root = tmp_path_factory.mktemp("hypernetwork")
    (root / "texts").mkdir()
    for i in range(24):
        (root / "texts" / f"{i}.txt").write_bytes(DOCUMENTS[i % 3])
    c = small_config("bytes")
    c.text.kind, c.text.vocabulary.size = "subword", 330
    c.data.source, c.data.cache = f"text:{root}/texts/*.txt", str(root / "cache")
    c.data.rows, c.data.symbols, c.data.packing_bins = 8, 48, 8
    c.train.update(steps=3, eval_every=0, log_every=1)
    c.optimizer.warmup = 1
    train(c, root / "base")
    return c, root


def hyper(base: tuple[ConfigDict, Path], **changes) -> ConfigDict:
    """The config of a hypernetwork for it, under another vocabulary."""
    c = base[0].copy_and_resolve_references()
    c.name, c.text.vocabulary.size = "hyper", 350
    with c.unlocked():
        given = {"run": str(base[1] / "base"), "source": C.table(), "stack": small_stack()}
        c.model.interface = C.hypernetwork(**(given | changes))
    c.optimizer.update(frozen=("backbone",), lr=1e-2)
    c.train.update(steps=4, checkpoint_every=2, keep=3, eval_every=4)
    c.eval.bytes = 400
    return c


def under_drawn(base) -> ConfigDict:
    """The config of one that sees a tokenizer a batch, for twelve steps."""
    c = hyper(base, parts=6)
    c.data.tokenizers = "drawn"
    c.data.drawn.update(size=320, window_bytes=2000, longest=6, whitespace=2, parts=6)
    c.train.update(steps=12, checkpoint_every=6, eval_every=12)
    c.optimizer.lr = 3e-2
    return c


@pytest.fixture(scope="module")
def trained(base) -> tuple[ConfigDict, Path, dict]:
    """A run of four steps."""
    c = hyper(base)
    return c, base[1] / "hyper", train(c, base[1] / "hyper")


def test_only_the_hypernetwork_is_trained_and_kept(base, trained):
    """The base model is that of its run to the last bit; a checkpoint holds what was learnt, and where the rest is."""
    _, path, result = trained
    before, after = read_parameters(base[1] / "base").parameters, read_parameters(path).parameters
    for name, x in before.items():
        here = name.replace("interface.", "interface.frozen_source.")
        np.testing.assert_array_equal(after.pop(here), x, err_msg=name)
    assert after and all(name.startswith(LEARNT) for name in after)
    checkpoint = read_checkpoint(path, part="")
    assert set(names(checkpoint.parameters["model"])) == set(after) and "fixed" not in checkpoint.parameters
    assert {(o.at, o.part) for o in checkpoint.record.fixed or ()} == {
        ("backbone", "backbone"), ("interface.frozen_source", "interface"),
    }  # fmt: skip
    moments = names(to_dicts(make_setup(trained[0], path).abstract_state.optimizer))
    assert not any("frozen" in name or "backbone" in name or "made" in name for name in moments)
    assert result["parameters"] == sum(x.size for x in after.values()) + sum(
        x.size for name, x in before.items() if name.startswith("backbone")
    )
    losses = [row.get("train/extra_loss", 0.0) for row in read_metrics(path) if "train/loss" in row]
    assert losses[0] == 0 and losses[-1] > 0  # it begins as the base model
    assert VOCABULARY == source.VOCABULARY


def test_a_run_that_was_stopped_goes_on(trained, tmp_path):
    """Its numbers are those of the run that was not, bit for bit."""
    c, path, result = trained
    shutil.copytree(path, tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "4")
    assert train(c, tmp_path / "again")["bpb"] == result["bpb"]
    stored, found = (names(read_checkpoint(p, part="").parameters) for p in (path, tmp_path / "again"))
    for name, x in stored.items():
        np.testing.assert_array_equal(found[name], x, err_msg=name)


def test_rows_are_made_once_a_step_and_may_be_the_batchs(base, trained, monkeypatch):
    """Once in a step and once in a micro-batch; and a batch is read and predicted in the vocabulary that it brings."""
    c, calls = hyper(base), []
    c.optimizer.accumulate = 2
    make = Hypernetwork.tables
    monkeypatch.setattr(Hypernetwork, "tables", lambda self, spelling: calls.append(1) or make(self, spelling))
    setup = make_setup(c, trained[1], devices=jax.devices()[:1])
    calls.clear()
    rows, target = next(train_iterator(c, setup.encoder)), setup.encoder.vocabulary
    order = np.random.default_rng(0).permutation(target.size).astype(np.int32)  # the same tokens, renumbered
    back = np.argsort(order).astype(np.int32)
    spelling = Spelled(SentencePieceTokenizer.load(base[1] / "base" / VOCABULARY), 8)(target)
    spelling = dataclasses.replace(spelling, parts_VxP=spelling.parts_VxP[order])
    symbols, targets = back[rows.tokens.symbols_BxS], back[rows.tokens.targets_BxS]
    renumbered = dataclasses.replace(rows.tokens, symbols_BxS=symbols, targets_BxS=targets)
    batch = dataclasses.replace(rows, tokens=renumbered, vocabulary=spelling)
    with jax.set_mesh(setup.mesh):
        jax.make_jaxpr(lambda model, rows: model.read_out(rows)[0].nll_BxS)(setup.abstract_state.model, batch)
        assert len(calls) == 1
        state, batch = setup.init_state(), put_batch(batch)
        nll = jax.jit(lambda model, rows: model.read_out(rows)[0].nll_BxS)(state.model, put_batch(rows))
        calls.clear()
        step = setup.step().lower(state, batch)
        assert len(calls) == 2  # for the shapes, and in the loop over micro-batches
        _, sums = step.compile()(state, batch)
    assert float((nll * rows.tokens.weights_BxS).sum()) == pytest.approx(float(sums["loss"]), rel=1e-4)


def test_it_decodes_as_it_reads(base, trained, tmp_path):
    """Through caches as in one pass, with the table made once; and exported it is a plain model."""
    _, path, _ = trained
    model, encoder = load_model(path)
    ids = np.concatenate([[encoder.vocabulary.bos], encoder.encode(TEXT).symbols])[:20].tolist()
    decoder = Decoder(model, encoder, rows=1, symbols=32, chunk=8)
    decoder.read([ids])
    full = jax.jit(lambda model, rows: model.logits(rows))(model, batch_of_ids(np.array([ids], np.int32)))
    np.testing.assert_allclose(decoder.logits_BxV[0], full[0, -1], atol=2e-4)
    from_run(path, tmp_path / "hf")
    again = load(tmp_path / "hf")
    assert isinstance(again.model.interface, Table)
    other = jax.jit(lambda model, rows: model.logits(rows))(again.model, batch_of_ids(np.array([ids], np.int32)))
    np.testing.assert_allclose(other, full, atol=2e-4)


@pytest.mark.slow
def test_its_rows_for_another_tokenizer(base, trained, tmp_path):
    """For the base model those that the run itself has; for a fine-tuned one with what that changed; no others."""
    _, path, _ = trained
    model, _ = load_model(path)
    how = {"method_in": "hypernetwork", "materials": Materials(hypernetwork=path)}
    transfer_run(base[1] / "base", path / VOCABULARY, tmp_path / "new", **how)
    new, _ = load_model(tmp_path / "new")
    lines = (tmp_path / "new" / "rows_out.jsonl").read_text().splitlines()
    made = np.array(['"kind": "made"' in line for line in lines])
    assert made.sum() > 5 and '"method": "hypernetwork(weight=1.0)"' in lines[int(np.argmax(made))]
    expected = model.interface.tables(model.interface.own)
    np.testing.assert_allclose(new.interface.table[...][made], expected.entering_VxD[made], atol=1e-5)
    np.testing.assert_allclose(new.interface.head[...][made], expected.leaving_VxD[made], atol=1e-5)
    # A model whose rows are twice those of its base, and its parts' moved rows with a weight.
    c = base[0].copy_and_resolve_references()
    c.train.start.run, c.train.steps, c.optimizer.lr = str(base[1] / "base"), 2, 1e-2
    c.text.vocabulary.path = str(base[1] / "base" / VOCABULARY)
    train(c, tmp_path / "tuned")
    how["method_in"], how["method_out"] = "hypernetwork(weight=0.5)", "mean"
    transfer_run(tmp_path / "tuned", path / VOCABULARY, tmp_path / "tuned_new", **how)
    tuned, old = (load_model(p)[0].interface.table[...] for p in (tmp_path / "tuned", base[1] / "base"))
    parts, token = np.asarray(model.interface.own.parts_VxP), int(np.argmax(made))
    moved = np.mean([np.asarray(tuned[i] - old[i]) for i in parts[token] if i >= 0], axis=0)
    row = load_model(tmp_path / "tuned_new")[0].interface.table[...][token]
    np.testing.assert_allclose(row, expected.entering_VxD[token] + 0.5 * moved, atol=1e-5)
    with pytest.raises(TransferError, match="was trained for a model with a table of 330 x 16"):
        transfer_run(tmp_path / "new", path / VOCABULARY, tmp_path / "no", **how)
    with pytest.raises(TransferError, match="has a Table, and no hypernetwork"):
        transfer_run(base[1] / "base", path / VOCABULARY, tmp_path / "no", method_in="hypernetwork",
                     materials=Materials(hypernetwork=base[1] / "base"))  # fmt: skip
    with pytest.raises(TransferError, match="'hypernetwork' needs predicted"):
        transfer_run(base[1] / "base", path / VOCABULARY, tmp_path / "no", method_in="hypernetwork")
    with pytest.raises(TransferError, match="only a model with a learned table can be transferred.* a Hypernetwork"):
        transfer_run(path, path / VOCABULARY, tmp_path / "no", method_in="mean")
    assert not (tmp_path / "no").exists()


def test_a_base_that_does_not_fit_is_refused(base, trained, tmp_path):
    """None at all, one of another shape, one of another kind, one whose tokens are not those of the named file."""
    cases = [
        (hyper(base, run=""), SetupError, r"model.interface.run is empty: .*\n.*--config.model.interface.run=RUN"),
        (
            hyper(base, source=C.table(tied="yes")),
            SetupError,
            r"say is not the model of .*interface.tied",
        ),
        (hyper(base, run=str(trained[1])), SetupError, "is not the model of .*interface.kind"),
    ]
    other = tmp_path / "other.model"
    other.write_bytes(SentencePieceTokenizer.train([DOCUMENTS[0]], kind="bpe", size=330).to_bytes())
    cases.append((hyper(base, vocabulary=str(other)), VocabularyMismatchError, "takes an interface of another vocab"))
    for c, error, message in cases:
        with pytest.raises(error, match=message):
            make_setup(c, trained[1]).init_state()
    c = hyper(base, vocabulary=str(tmp_path / "nowhere"))
    with pytest.raises(SetupError, match="tokenizer cannot be read"):
        make_setup(c, trained[1])
    shutil.copytree(trained[1], tmp_path / "alone")
    with pytest.raises((CheckpointError, HubError)):
        moved = tmp_path / "moved"
        (base[1] / "base" / "checkpoints").rename(moved)
        try:
            load_model(tmp_path / "alone")
        finally:
            moved.rename(base[1] / "base" / "checkpoints")


@pytest.mark.slow
def test_two_phases(base, trained, tmp_path):
    """Imitation finds rows of the base model; what it learned is where the second phase begins, scales included, also
    under another vocabulary of the text."""
    first = hyper(base, form="published")
    with first.unlocked():
        first.objective = C.imitation(tokens=64)
    first.train.update(steps=30, eval_every=0, checkpoint_every=0)
    train(first, tmp_path / "first")
    losses = [row["train/loss"] for row in read_metrics(tmp_path / "first")]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    model, _ = load_model(tmp_path / "first")
    state = make_setup(hyper(base, form="published"), trained[1]).init_state()
    tables = state.model.interface.tables(state.model.interface.own)  # a fresh one: of the source's size
    own = state.model.interface.frozen_source.table[...]
    assert 0.3 < float(tables.entering_VxD.std() / own.std()) < 3
    second = hyper(base, form="published")
    second.text.vocabulary.size, second.train.start.run = 340, str(tmp_path / "first")
    second.train.update(steps=1, eval_every=0)
    begun = make_setup(second).init_state().model.interface
    for name, x in names(to_dicts(model.interface)).items():
        if not name.startswith("made_"):
            np.testing.assert_array_equal(names(to_dicts(begun))[name], x, err_msg=name)
    train(second, tmp_path / "second")
    origins = read_checkpoint(tmp_path / "second").record.fixed or ()
    assert len({origin.at for origin in origins}) == len(origins)
    assert load_model(tmp_path / "second")[0].interface.vocabulary_size == 340
    wrong = hyper(base)
    with wrong.unlocked():
        wrong.objective, wrong.model.interface = C.imitation(), C.table()
    with pytest.raises(SetupError, match="'imitation' trains a hypernetwork, not a Table"):
        compile_step(make_setup(wrong, trained[1]))
    with wrong.unlocked():
        wrong.objective.tokens = 0
    with pytest.raises(SetupError, match="objective.tokens is 0"):
        make_setup(wrong, trained[1])


@pytest.mark.slow
def test_it_learns_under_drawn_tokenizers(base, trained, tmp_path):
    """A tokenizer a batch, spelled in the base model's tokens, through a stop; the text's own is only evaluated."""
    c = under_drawn(base)
    result = train(c, tmp_path / "drawn")
    losses = [row["train/loss"] for row in read_metrics(tmp_path / "drawn") if "train/loss" in row]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) and np.isfinite(result["bpb"])
    shutil.rmtree(tmp_path / "drawn" / "checkpoints" / "12")
    assert train(c, tmp_path / "drawn")["bpb"] == result["bpb"]
    c.data.drawn.source = str(trained[1] / VOCABULARY)
    with pytest.raises(SetupError, match=r"data.drawn.source is .*leave the first one empty"):
        make_setup(c, trained[1])


@pytest.mark.slow
def test_it_learns_from_the_model_that_it_is_for(base, trained, tmp_path):
    """By ALM: under each drawn tokenizer, text is to be as likely as it is to the base model under its own."""
    c = under_drawn(base)
    c.objective = C.distillation(alm=1.0, hidden_states=1.0)
    c.objective.teacher.update(run=str(base[1] / "base"), symbols=96, shares=("backbone",))
    result = train(c, tmp_path / "alm")
    rows = [row for row in read_metrics(tmp_path / "alm") if "train/alm_loss" in row]
    losses = [row["train/hidden_states_loss"] for row in rows]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert all(
        row["train/alm_loss"] > 0 and row["train/aligned"] > 0.95 and row["data/other_fraction_scored"] == 1
        for row in rows
    )
    assert np.isfinite(result["bpb"])
    c.objective.losses.uld.weight = 1.0
    with pytest.raises(SetupError, match="data.tokenizers 'drawn': uld would look at each batch's vocabulary"):
        compile_step(make_setup(c))
    c.objective.losses.uld.weight = 0.0
    c.objective.teacher.update(run=str(trained[1]), shares=())
    with pytest.raises(SetupError, match="another tokenisation, as a teacher's, has to be that of data.drawn.source"):
        make_setup(c)
