"""Runs that train some rows of a table, those of new tokens above all, and leave the others as they are."""

import json
import shutil

import jax
import numpy as np
import pytest
from samples import TEXT

from lexitok.config.files import load_config, override
from lexitok.data.pipeline import train_iterator
from lexitok.data.placement import put_batch
from lexitok.hub import load
from lexitok.hub.conversion import from_run
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.files import CheckpointError
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.load import load_model
from lexitok.runs.parameters import read_parameters
from lexitok.runs.run import read_config
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.loop import train
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError
from lexitok.training.trained_rows import trained_rows
from lexitok.transfer.runs import transfer_run

DOCUMENTS = [TEXT * 2, TEXT[len(TEXT) // 2 :], b"12 345 cats; x += 1\n" * 30]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Texts, and a small model that is not tied as it comes out of a transfer."""
    root = tmp_path_factory.mktemp("rows")
    (root / "texts").mkdir()
    for i in range(24):
        (root / "texts" / f"{i}.txt").write_bytes(DOCUMENTS[i % 3])
    (root / "new.model").write_bytes(SentencePieceTokenizer.train(DOCUMENTS, kind="bpe", size=357).to_bytes())
    transferred(root, "no")
    return root


def transferred(root, tied):
    train(config(root, f"model.interface.tied={tied}", "train.steps=1"), root / f"old_{tied}")
    transfer_run(root / f"old_{tied}", root / "new.model", root / f"new_{tied}", method_in="mean", multiple=8)


def config(root, *changes):
    small = [*(f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16"))]
    data = [f"data.source=text:{root}/texts/*.txt", f"data.cache={root}/cache", "data.rows=8", "data.symbols=64"]
    steps = ["data.packing_bins=4", "train.eval_every=0", "optimizer.warmup=1", "text.vocabulary.size=340"]
    return load_config("configs/subword.py:tiny", [*small, *data, *steps, "model.interface.embed_scale=1.0", *changes])


def continued(root, tied, *changes):
    """The config of a run that trains the rows of new tokens alone, from a run that a transfer wrote."""
    start = [f"train.start.run={root}/new_{tied}", f"text.vocabulary.path={root}/new_{tied}/vocabulary.model"]
    what = [f"model.interface.tied={tied}", "optimizer.rows=made", "optimizer.frozen=('backbone',)"]
    return config(root, *start, *what, "train.steps=2", "train.checkpoint_every=1", *changes)


def new_ids(root, tied):
    lines = (root / f"new_{tied}" / "rows_in.jsonl").read_text().splitlines()
    return np.array([json.loads(line)["id"] for line in lines if '"kind": "made"' in line])


class Trained(dict):
    """Runs that are trained when they are asked for."""

    def __init__(self, root):
        super().__init__()
        self._root = root

    def __missing__(self, tied):
        changes = ["train.ema=0.5", "optimizer.schedule=constant", *(["optimizer.name=muon"] if tied == "no" else [])]
        self[tied] = self._root / f"on_{tied}"
        if tied == "yes":
            transferred(self._root, tied)
        train(continued(self._root, tied, *changes), self[tied])
        return self[tied]


@pytest.fixture(scope="module")
def runs(root):
    """Two steps of the new rows alone: of a tied model with AdamW, and with Muon of one that is not tied."""
    return Trained(root)


@pytest.mark.parametrize("tied", ["no", pytest.param("yes", marks=pytest.mark.slow)])
def test_only_new_rows_move(root, runs, tied):
    """All of them do; the others and what is frozen are bit for bit what they were: no gradient, moment or decay."""
    before, after = (read_parameters(path).parameters for path in (root / f"new_{tied}", runs[tied]))
    ids = new_ids(root, tied)
    tables = {"yes": {"interface.table"}, "no": {"interface.table", "interface.head"}}[tied]
    assert before.keys() == after.keys() and len(ids) > 5
    for name, x in after.items():
        if name not in tables:
            np.testing.assert_array_equal(x, before[name], err_msg=name)
            continue
        moved = (x != before[name]).any(axis=1)
        assert not np.delete(moved, ids).any(), name
        assert moved[ids].all(), name  # by their decay, where they do not come up


def test_a_checkpoint_holds_the_rows_and_where_the_others_are_from(root, runs):
    """Nothing of the size of the table is in it: not the table, its moments or its average."""
    checkpoint, ids = read_checkpoint(runs["no"], part=""), new_ids(root, "no")
    stored = {name: x.shape for name, x in names(checkpoint.parameters).items()}
    assert stored["model.interface.table"] == stored["ema.interface.table"] == (len(ids), 16)
    assert stored["fixed.rows"] == (len(ids),) and max(shape[0] for shape in stored.values() if shape) == len(ids)
    origins = {origin.at: (origin.run, origin.part) for origin in checkpoint.record.fixed}
    fixed = ("backbone", "interface.head", "interface.table")
    assert origins == {part: (str(root / "new_no"), part) for part in fixed}


@pytest.mark.slow
def test_without_another_run_the_checkpoint_holds_the_whole_table(root, tmp_path):
    """The rows that stay are from nowhere else then."""
    c = config(root, "optimizer.rows=3,300:340", "train.steps=1", "optimizer.frozen_dtype=bfloat16")
    train(c, tmp_path / "run")
    stored = names(read_checkpoint(tmp_path / "run", part="").parameters)
    assert stored["fixed.model.interface.table"].shape == (340, 16) and stored["model.interface.table"].shape == (
        41,
        16,
    )
    found = read_parameters(tmp_path / "run").parameters["interface.table"]
    whole = np.array(stored["fixed.model.interface.table"], np.float32)
    whole[[3, *range(300, 340)]] = stored["model.interface.table"]
    np.testing.assert_array_equal(found, whole)
    assert found.dtype == np.float32 and load_model(tmp_path / "run")[0].interface.table.shape == (340, 16)


def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(root, runs, tmp_path):
    """The rest of the table is where it comes from, there or beside the run; other ids are another run's."""
    shutil.copytree(runs["no"], tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "2")
    again = read_config(runs["no"])
    (root / "new_no").rename(tmp_path / "new_no")
    train(again, tmp_path / "again")
    (tmp_path / "new_no").rename(root / "new_no")
    expected, found = (names(read_checkpoint(at, part="").parameters) for at in (runs["no"], tmp_path / "again"))
    assert expected.keys() == found.keys()
    for name, x in expected.items():
        np.testing.assert_array_equal(found[name], x, err_msg=name)
    override(again, ["optimizer.rows=5:9", "train.steps=3"])
    with pytest.raises(ValueError, match="optimizer.rows: recorded 'made', this run '5:9'"):
        train(again, tmp_path / "again")


def test_a_table_of_such_a_run_is_one_table(root, runs, tmp_path):
    """Others are given the whole of it, and it gets a new tokenizer as any other; its start has to be there."""
    expected = read_parameters(runs["no"]).parameters["interface.table"]
    from_run(runs["no"], tmp_path / "hf")
    np.testing.assert_array_equal(load(tmp_path / "hf").model.interface.table[...], expected)
    transfer_run(runs["no"], root / "new.model", tmp_path / "next", method_in="mean", multiple=8)
    again = read_parameters(tmp_path / "next").parameters["interface.table"]
    np.testing.assert_array_equal(again[:357], expected[:357])  # behind them are ids that are never used
    start = [f"train.start.run={runs['no']}", f"text.vocabulary.path={runs['no']}/vocabulary.model"]
    c = config(root, *start, "model.interface.tied=no")
    np.testing.assert_array_equal(make_setup(c).init_state().model.interface.table[...], expected)
    start = root / "new_no"
    start.rename(root / "elsewhere")
    with pytest.raises(CheckpointError, match=r"is fixed, and comes from step 0 of .*new_no, which is not there"):
        load_model(runs["no"])
    (root / "elsewhere").rename(start)


@pytest.mark.slow
def test_neither_mesh_nor_micro_batches_matter(root):
    """Rows that are trained are split as the table is; and what is fixed may be bfloat16 while they are float32, with
    gradients of float32 also where activations are not."""
    found = {}
    cases = {"one": [], "mesh": ["mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2", "optimizer.accumulate=2"]}
    for name, how in cases.items():
        c = continued(root, "no", *(how or ["mesh.data=1"]), "optimizer.frozen=()", "optimizer.frozen_dtype=bfloat16")
        setup = make_setup(c, devices=None if how else jax.devices()[:1])
        batch = next(train_iterator(c, setup.encoder))
        with jax.set_mesh(setup.mesh):
            state = setup.init_state()
            assert state.fixed["model"].interface.head.dtype == "bfloat16"
            assert state.trained.interface.head.dtype == state.model.interface.head.dtype == "float32"
            state, sums = setup.step()(state, put_batch(batch))
        found[name] = jax.device_get((sums["loss"], names(to_dicts(state.model))))
    c.model.compute_dtype = "bfloat16"
    setup = make_setup(c)
    state = setup.abstract_state
    grads, _ = jax.eval_shape(jax.grad(setup.objective, has_aux=True), state.trained, state.fixed, batch)
    assert {x.dtype.name for x in jax.tree.leaves(grads)} == {"float32"}
    (loss, one), (other, mesh) = found["one"], found["mesh"]
    np.testing.assert_allclose(loss, other, rtol=2e-5)
    for name, x in one.items():
        np.testing.assert_allclose(mesh[name], x, atol=5e-4, err_msg=name)


def test_ids_are_said_in_words_or_numbers(root):
    """Every id once, in order, whatever way they are named."""
    assert trained_rows("", "", 9) is None
    assert trained_rows("7, 1:3,2", "", 9).tolist() == [1, 2, 7]
    run = root / "new_no"
    made, some = trained_rows("made", str(run), 360), trained_rows("unmatched,made", str(run), 360)
    np.testing.assert_array_equal(made, new_ids(root, "no"))
    assert set(made) < set(some) and trained_rows("made,copied,unmatched,special", str(run), 360).size == 360


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optimizer.rows=new"], "'new' is no id, no range as 100:164, and none of the kinds of rows: copied, made"),
        (["optimizer.rows=350:361"], "'350:361' are no ids of this run's vocabulary, which are 0 to 359"),
        (["optimizer.rows=9:9"], "'9:9' are no ids"),
        (["train.start.run="], "set train.start.run"),
        (["train.start.run={root}/old_no"], "has no rows_in.jsonl: no transfer wrote it.*name ids, as 100:164"),
        (["text.vocabulary.path={root}/old_no/vocabulary.model"], "has 360 rows, and this run's vocabulary 340 ids"),
        (
            ["model.interface.table_rows=40", "optimizer.frozen=('interface.head',)"],
            "no table",
        ),
    ],
)
def test_rows_that_cannot_be_trained_are_refused(root, changes, message):
    """Before anything is written: what was not meant would be trained, or nothing."""
    with pytest.raises(SetupError, match=message):
        make_setup(continued(root, "no", *(change.format(root=root) for change in changes)))


def test_damaged_provenance_is_refused(root, tmp_path):
    """A line that is missing would shift the ids of all that follow."""
    lines = (root / "new_no" / "rows_in.jsonl").read_text().splitlines()
    for bad, message in (
        ([*lines[:4], *lines[5:]], "line 5 should be of id 4, and is of id 5"),
        ([*lines[:4], '{"id": 4', *lines[5:]], "line 5 is not the provenance of a row"),
        (lines[:-1], "has 359 rows, and this run's vocabulary 360 ids"),
    ):
        (tmp_path / "rows_in.jsonl").write_text("\n".join(bad) + "\n")
        with pytest.raises(SetupError, match=message):
            trained_rows("made", str(tmp_path), 360)
