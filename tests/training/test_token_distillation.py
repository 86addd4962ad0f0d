"""Token distillation: rows of new tokens are fitted until hidden states are those of the old tokenization."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import CONFIGS, TEXT

from lexitok.config.files import ConfigError, load_config, override
from lexitok.data.pipeline import train_iterator
from lexitok.data.placement import put_batch
from lexitok.distill.spans import states_after_spans
from lexitok.evals import evaluate
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.load import load_model
from lexitok.runs.metrics import read_metrics
from lexitok.runs.parameters import read_parameters
from lexitok.runs.vocabularies import VocabularyMismatchError
from lexitok.text.alignment import NONE
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.loop import train
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError
from lexitok.transfer.runs import transfer_run

SMALL = [*(f"model.backbone.{axis}" for axis in ("D=32", "L=2", "H=2", "K=2", "N=16", "F=48"))]
SMALL += ["data.rows=8", "data.symbols=64", "data.packing_bins=4", "train.eval_every=0", "optimizer.warmup=1"]
SMALL += ["model.interface.tied=no", "model.interface.embed_scale=1.0", "text.vocabulary.size=300", "eval.bytes=2000"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A model of 300 tokens that has learnt a few sentences by heart, and the same under a tokenizer of 380."""
    root = tmp_path_factory.mktemp("distillation")
    (root / "texts").mkdir()
    rng, words = np.random.default_rng(0), TEXT.decode().split()
    texts = [" ".join(words[i] for i in rng.integers(0, len(words), 12)) + "\n" for _ in range(6)]
    documents = ["".join(texts[i] for i in rng.integers(0, 6, 4)).encode() for _ in range(24)]
    for i, document in enumerate(documents):
        (root / "texts" / f"{i}.txt").write_bytes(document)
    source = [f"data.source=text:{root}/texts/*.txt", f"data.cache={root}/cache"]
    train(load_config(f"{CONFIGS}/subword.py:tiny", [*SMALL, *source, "train.steps=150"]), root / "old")
    (root / "new.model").write_bytes(SentencePieceTokenizer.train(documents, kind="bpe", size=380).to_bytes())
    transfer_run(root / "old", root / "new.model", root / "new", method_in="mean")
    return root


def continued(root, variants, *changes):
    """From the run that the transfer wrote, by the config file for it."""
    return load_config(f"{CONFIGS}/continued.py:{root}/new{variants}", ["train.eval_every=0", *changes])


def bpb(root, run):
    model, encoder = load_model(run)
    documents = [path.read_bytes() for path in sorted((root / "texts").glob("*.txt"))[:8]]
    return evaluate(model, encoder, documents, rows=8, symbols=64, units=8, overlap=0.5).bpb


def test_states_are_those_that_have_read_a_span():
    """The position after the span's last target, in the same piece: the last of a piece has none."""
    h = jnp.arange(8, dtype=jnp.float32)[None, :, None]
    of = jnp.array([[0, 1, 1, 2, 3, NONE, 4, NONE]])
    segments = jnp.array([[1, 1, 1, 1, 2, 2, 2, 0]])
    states, there = states_after_spans(h, of, segments, 6)
    assert there.tolist() == [[True, True, False, True, False, False]]  # 2 and 4 end their pieces, 5 is not there
    assert states[0, :, 0][there[0]].tolist() == [1, 3, 5]


@pytest.fixture(scope="module")
def distilled(root):
    """Thirty steps on the rows of new tokens."""
    c = continued(
        root, ",distilled", "train.steps=30", "train.log_every=5", "train.checkpoint_every=15", "optimizer.lr=3e-2"
    )
    train(c, root / "distilled")
    return c


@pytest.mark.slow
def test_distances_and_bits_fall_and_only_new_rows_move(root, distilled):
    """What the transfer has made is a guess; the model under its old tokenizer knows better."""
    rows = read_metrics(root / "distilled")
    assert rows[-1]["train/distillation_loss"] < 0.7 * rows[0]["train/distillation_loss"]
    assert all(row["data/other_fraction_scored"] == 1 for row in rows)
    assert bpb(root, root / "distilled") < bpb(root, root / "new") - 0.1
    before, after = (read_parameters(root / at).parameters for at in ("new", "distilled"))
    moved = {name: (x != before[name]).any(axis=1) for name, x in after.items() if name.startswith("interface.")}
    assert all((x == before[name]).all() for name, x in after.items() if name not in moved)
    made = np.array(['"kind": "made"' in line for line in (root / "new" / "rows_in.jsonl").read_text().splitlines()])
    for name, rows in moved.items():
        np.testing.assert_array_equal(rows, made, err_msg=name)


@pytest.mark.slow
def test_a_teacher_is_in_no_checkpoint(root, distilled):
    """It is where it is from, whole or but for what it shares, and the same after a restart, bit for bit."""
    checkpoint = read_checkpoint(root / "distilled", part="")
    assert not any(name.startswith("fixed.") and name != "fixed.rows" for name in names(checkpoint.parameters))
    origin = next(origin for origin in checkpoint.record.fixed if origin.of == "teacher")
    assert (origin.run, origin.step, origin.at) == (str(root / "old"), 150, "interface")
    shutil.copytree(root / "distilled", root / "again")
    shutil.rmtree(root / "again" / "checkpoints" / "30")
    train(distilled, root / "again")
    expected = names(checkpoint.parameters)
    for name, x in names(read_checkpoint(root / "again", part="").parameters).items():
        np.testing.assert_array_equal(x, expected[name], err_msg=name)
    # Nobody needs it to use the model; to go on, it has to be what it was.
    (root / "old").rename(root / "gone")
    load_model(root / "again")
    with pytest.raises(SetupError, match=r"objective.teacher.run: there are no checkpoints in .*old"):
        train(distilled, root / "again")
    (root / "gone").rename(root / "old")
    shutil.rmtree(root / "again")


def step_of(c, devices=None):
    """Sums, gradients and the teacher of a fresh state on the first batch."""
    setup = make_setup(c, devices=devices)
    batch = next(train_iterator(c, setup.encoder, setup.objective.tokenisations))
    with jax.set_mesh(setup.mesh):
        state = setup.init_state()
        teacher = names(jax.device_get(to_dicts(state.fixed["teacher"])))
        state, sums = setup.step()(state, put_batch(batch))
        return jax.device_get((sums, names(to_dicts(state.trained)))), teacher


@pytest.mark.slow
def test_a_model_is_its_own_teacher(root):
    """Under one tokenizer the distance is none, and so is its gradient, wherever the teacher's backbone is held."""
    one = ["objective.next_token_weight=0", "optimizer.weight_decay=0", "mesh.data=1", "objective.teacher.symbols=64"]
    c = load_config(f"{CONFIGS}/continued.py:{root}/old", ["train.eval_every=0", "optimizer.frozen=('backbone',)"])
    c.objective = continued(root, ",distilled").objective
    override(c, one)
    for shares in ((), ("backbone",)):
        c.objective.teacher.shares = shares
        (sums, _), teacher = step_of(c, jax.devices()[:1])
        assert sums["weights"] > 100 and sums["loss"] / sums["weights"] < 1e-9 and sums["grad_norm"] < 1e-4
        assert any("backbone" in name for name in teacher) == (not shares)


@pytest.mark.slow
def test_neither_mesh_nor_micro_batches_matter(root):
    """Nor whether the backbone is held twice."""
    mesh = ["mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2", "optimizer.accumulate=2", "objective.teacher.shares=()"]
    (one, rows), _ = step_of(continued(root, ",distilled", "mesh.data=1"), jax.devices()[:1])
    (sums, rows_of_mesh), _ = step_of(continued(root, ",distilled", *mesh))
    for name, x in one.items():
        np.testing.assert_allclose(sums[name], x, rtol=1e-4, err_msg=name)
    for name, x in rows.items():
        np.testing.assert_allclose(rows_of_mesh[name], x, atol=1e-3, err_msg=name)


@pytest.mark.slow
def test_another_layer_and_a_rounded_teacher(root):
    """An early layer's distances are others, and the nats the same; what bfloat16 takes from the teacher is little."""
    found = {}
    for how in ("objective.layer=-1", "objective.layer=1", "objective.teacher.dtype=bfloat16"):
        c = continued(root, ",distilled", "objective.teacher.shares=()", "mesh.data=1", how)
        setup = make_setup(c, devices=jax.devices()[:1])
        batch = next(train_iterator(c, setup.encoder, setup.objective.tokenisations))
        state = setup.init_state()
        found[how] = jax.device_get(jax.jit(setup.objective)(state.trained, state.fixed, batch)[1])
    last, early, rounded = found.values()
    teacher = state.fixed["teacher"]
    assert teacher.interface.table.dtype == "bfloat16" and teacher.backbone.layers.mixer_norm.scale.dtype == "float32"
    assert early["nats"] == pytest.approx(last["nats"], rel=1e-5)
    assert early["distillation_loss"] != pytest.approx(last["distillation_loss"], rel=0.1)
    assert rounded["distillation_loss"] == pytest.approx(last["distillation_loss"], rel=0.05)
    assert rounded["distillation_loss"] != last["distillation_loss"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["objective.teacher.run="], "objective.teacher.run is empty"),
        (["objective.teacher.run=/nowhere"], "there are no checkpoints in /nowhere"),
        (["objective.teacher.dtype=float8"], "unknown objective.teacher.dtype 'float8'; there are float32, bfloat16"),
        (["objective.layer=3"], "objective.layer is 3: it is -1, or one of the teacher's 0 to 2"),
        (["optimizer.frozen=()"], "objective.teacher.shares: 'backbone' is not the same fixed part.*backbone.layers"),
        (["objective.teacher.shares=('trunk',)"], "'trunk' is not the same fixed part .* the teacher has none"),
    ],
)
def test_teachers_that_do_not_fit_are_refused(root, changes, message):
    """With the setting that says so."""
    with pytest.raises(SetupError, match=message):
        make_setup(continued(root, ",distilled", *changes))


@pytest.mark.slow
def test_a_teacher_of_another_width_is_refused(root):
    """Hidden states of two shapes have no distance; and to share a backbone that is another would be no teacher."""
    c = continued(root, ",distilled", "objective.teacher.shares=()")
    c.model.backbone.D = 16
    setup = make_setup(c)
    batch = next(train_iterator(c, setup.encoder, setup.objective.tokenisations))
    state = setup.abstract_state
    with pytest.raises(SetupError, match="old has 2 layers of width 32, and this model 2 of 16: hidden states"):
        jax.eval_shape(setup.objective, state.trained, state.fixed, batch)
    c = continued(root, ",distilled", "train.start.run=", "optimizer.rows=", "mesh.data=1")
    with pytest.raises(SetupError, match="'backbone' of .*old is not that which this run begins with"):
        make_setup(c, devices=jax.devices()[:1]).init_state()


@pytest.mark.slow
def test_a_run_goes_on_by_itself(root, tmp_path):
    """Model, data and tokenizer are its own; another vocabulary is refused; what no transfer wrote has no teacher."""
    c = continued(root, ",tables", "train.steps=1")
    assert c.optimizer.frozen == ("backbone",) and c.name.endswith("-continued-tables")
    train(c, tmp_path / "on")
    before, after = (read_parameters(path).parameters for path in (root / "new", tmp_path / "on"))
    assert {name for name, x in after.items() if (x != before[name]).any()} == {"interface.table", "interface.head"}
    c.text.vocabulary.path = str(root / "old" / "vocabulary.model")
    c.model.interface.table_rows = 0
    with pytest.raises((VocabularyMismatchError, SetupError), match="other parameters|another vocabulary"):
        make_setup(c).init_state()
    with pytest.raises(ConfigError, match=r"no transfer wrote .*old: there is no model under another tokenizer"):
        load_config(f"{CONFIGS}/continued.py:{root}/old,distilled")
    with pytest.raises(ConfigError, match="say which run goes on"):
        load_config(f"{CONFIGS}/continued.py")
