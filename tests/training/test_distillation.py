"""Distillation by the common loop: a student of bytes, in units and not, learns from a teacher of tokens."""

import json

import numpy as np
import pytest
from samples import CONFIGS, TEXT

from lexitok.config.files import ConfigError, load_config, override
from lexitok.data.sources import open_source
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.metrics import read_metrics
from lexitok.runs.parameters import read_parameters
from lexitok.runs.run import read_config
from lexitok.training import ahead_of_time
from lexitok.training.keeping import keep_predictions_of
from lexitok.training.loop import train
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError

STACK = ["D=32", "L=1", "H=2", "K=2", "N=16", "F=48"]
RUN = ["data.packing_bins=4", "train.eval_every=0", "train.log_every=1", "optimizer.warmup=1", "eval.bytes=2000"]
STUDENTS = {
    "bytes": [*(f"model.backbone.{axis}" for axis in STACK), "data.symbols=160"],
    "hat": [
        *(f"model.stage.backbone.{axis}" for axis in STACK),
        *(f"model.stage.{side}.{axis}" for side in ("encoder", "decoder") for axis in ("D=16", "H=2", "K=2", "F=24")),
        *("data.symbols=160", "data.units=64"),
    ],
}
OWN = (
    *("objective.weighting.kind=gradnorm", "objective.losses.hidden_states.weight=0.5"),
    "objective.losses.hidden_states.project=True",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A model of 300 tokens that has learnt a few sentences."""
    root = tmp_path_factory.mktemp("distillation")
    (root / "texts").mkdir()
    rng, words = np.random.default_rng(0), TEXT.decode().split()
    for i in range(24):
        text = " ".join(words[j] for j in rng.integers(0, len(words), 40))
        (root / "texts" / f"{i}.txt").write_text(text + "\n")
    source = [f"data.source=text:{root}/texts/*.txt", f"data.cache={root}/cache", "text.vocabulary.size=300"]
    small = [*(f"model.backbone.{axis}" for axis in STACK), "data.rows=8", "data.symbols=96"]
    train(load_config(f"{CONFIGS}/subword.py:tiny", [*RUN, *small, *source, "train.steps=60"]), root / "teacher")
    return root


def student(root, variants, *changes):
    kind = variants.split(",")[0]
    settings = [*RUN, *STUDENTS[kind], "data.rows=8", "objective.teacher.symbols=96"]
    return load_config(f"{CONFIGS}/distill.py:{root}/teacher,{variants}", [*settings, *changes])


@pytest.mark.parametrize("variants", ["bytes,alm", pytest.param("hat,one_to_one", marks=pytest.mark.slow)])
def test_a_student_learns_from_its_teacher(root, variants, tmp_path):
    """On a mesh, in micro-batches, through a stop: it learns, what is aligned is counted, the teacher is in no
    checkpoint, and what the losses learn and remember is, but not in the model."""
    mesh = ["mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2", "optimizer.accumulate=2", "optimizer.lr=1e-2"]
    config = student(root, variants, *mesh, *OWN, "train.steps=4", "train.checkpoint_every=4")
    train(config, tmp_path)
    config.train.steps = 8
    train(config, tmp_path)
    rows = [row for row in read_metrics(tmp_path) if "train/bpb" in row]
    name = variants.split(",")[1]
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert rows[-1]["train/bpb"] < rows[0]["train/bpb"] - 0.4
    if name == "alm":  # what a student holds likely comes to be what teachers tell apart, and is then all that differs
        assert rows[-1]["train/alm_loss"] < 0.8 * rows[0]["train/alm_loss"]
    for row in rows:
        losses = [name, "next_symbol", "hidden_states"]
        weighted = [row[f"train/{loss}_weight"] * row[f"train/{loss}_loss"] for loss in losses]
        assert row["train/loss"] == pytest.approx(sum(weighted), rel=1e-5)
        assert sum(row[f"train/{loss}_weight"] for loss in losses) == pytest.approx(2.5, rel=1e-5)
        assert all(row[f"train/{loss}_gradient"] > 0 for loss in losses)
        assert row["data/other_fraction_scored"] == row["data/fraction_scored"] == 1
        assert 0 <= row["train/one_to_one"] < row["train/aligned"] <= 1
        assert row["train/aligned"] > 0.99  # pieces are cut where spans end, so all of the text is in some span
    assert rows[-1]["train/hidden_states_loss"] < rows[0]["train/hidden_states_loss"]
    steps = [read_checkpoint(tmp_path, step, part="own").parameters for step in (4, 8)]
    assert [own["memory"]["steps"] for own in steps] == [4, 8]
    before, after = (own["parameters"]["hidden_states"]["weight"] for own in steps)
    assert before.shape == (16 if variants.startswith("hat") else 32, 32) and not np.allclose(before, after)
    parameters = read_parameters(tmp_path).parameters
    assert not any("teacher" in parameter or "hidden_states" in parameter for parameter in parameters)
    assert json.loads((tmp_path / "config.json").read_text())["objective"]["teacher"]["run"] == f"{root}/teacher"


@pytest.mark.slow
def test_a_teacher_that_was_kept_need_not_be_there(root, tmp_path):
    """Its predictions are read with the run of the teacher gone; another teacher, losses that look into it, and what
    it has not read are refused."""
    config = student(root, "bytes,alm", "train.steps=2", "mesh.fsdp=8", "mesh.data=1")
    documents = sum(count for count, _ in keep_predictions_of(config, tmp_path / "kept", top_k=8))
    assert documents == len(open_source(config.data.source, "train", cache=config.data.cache))
    config.objective.teacher.cache = str(tmp_path / "kept")
    make_setup(config)
    settings = tmp_path / "kept" / "predictions.json"
    of = json.loads(settings.read_text())["teacher"]["fingerprint"]
    settings.write_text(settings.read_text().replace(of, "of another"))
    with pytest.raises(SetupError, match=f"a model of fingerprint of another, and .*teacher, of {of}"):
        make_setup(config)
    config.objective.teacher.run = ""
    looking = config.copy_and_resolve_references()
    looking.objective.losses.hidden_states.weight = 1.0
    with pytest.raises(SetupError, match="hidden_states would look at the teacher's hidden states"):
        make_setup(looking)
    writing = config.copy_and_resolve_references()
    writing.objective.on_policy.update(fraction=0.5, symbols=32)
    with pytest.raises(SetupError, match="has not read the texts"):
        train(writing, tmp_path / "writing")
    train(config, tmp_path / "student")
    rows = [row for row in read_metrics(tmp_path / "student") if "train/bpb" in row]
    assert len(rows) == 2 and all(0 < row["train/alm_loss"] < 10 and row["train/aligned"] > 0.99 for row in rows)


@pytest.mark.slow
def test_a_student_of_two_teachers(root, tmp_path):
    """Of two tokenizers and two runs, by the loop: what is measured of each is in the log, both are in what is fixed by
    their origins, and the student writes for both."""
    other = load_config(f"{CONFIGS}/subword.py:tiny", [*RUN, "data.rows=8", "data.symbols=96", "train.steps=2"])
    other.data, other.text.vocabulary.size = read_config(root / "teacher").data, 320
    other.model.backbone.update(D=16, L=1, H=2, K=2, N=8, F=24)
    train(other, root / "other")
    changes = ["objective.teachers.second.symbols=160", "objective.teachers.second.weight=0.5", "train.steps=2"]
    policy = ["objective.on_policy.fraction=0.5", "objective.on_policy.prompt=20", "objective.on_policy.symbols=40"]
    names = f"{CONFIGS}/distill.py:{root}/teacher+{root}/other,bytes,alm"
    config = load_config(names, [*RUN, *STUDENTS["bytes"], "data.rows=8", "objective.teacher.symbols=160", *changes])
    for name, more in (("text", []), ("writing", policy)):
        c = config.copy_and_resolve_references()
        override(c, more)
        train(c, tmp_path / name)
        rows = [row for row in read_metrics(tmp_path / name) if "train/bpb" in row or "train/alm_loss" in row]
        for row in rows:
            assert row["train/alm_loss"] > 0 and row["train/second_alm_loss"] > 0
            whole = row["train/alm_loss"] + 0.5 * row["train/second_alm_loss"] + row["train/next_symbol_loss"]
            assert row["train/loss"] == pytest.approx(whole, rel=1e-4)
    record = read_checkpoint(tmp_path / "text").record
    assert {origin.of for origin in record.fixed} == {"teacher", "second_teacher"}
    with pytest.raises(ConfigError, match="at most 4 runs teach together, not 5"):
        load_config(f"{CONFIGS}/distill.py:{'+'.join([str(root / 'teacher')] * 5)},bytes")


@pytest.mark.slow
def test_a_chat_is_learnt_under_two_templates(root, tmp_path):
    """The student's and the teacher's own, beside the model and from what was kept; what is not the assistant's is in
    no number. Predictions under another template are refused."""
    chats = [json.dumps({"messages": [{"role": r, "content": f"naive box {i} jugs"} for r in ("user", "assistant")]})
             for i in range(40)]  # fmt: skip
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(chats))
    (tmp_path / "a.jinja").write_text("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}")
    (tmp_path / "b.jinja").write_text("{% for m in messages %}{{ '<' + m.role + '> ' + m.content }}{% endfor %}")
    data = [
        f"data.source=chats:{tmp_path}/{{split}}.jsonl",
        "data.field=messages",
        "train.steps=2",
        "train.eval_every=2",
    ]
    templates = [f"text.chat.template={tmp_path}/a.jinja", f"objective.teacher.template={tmp_path}/b.jinja"]
    config = student(root, "bytes,alm", *data, *templates)
    result = train(config, tmp_path / "run")
    assert 0 < result["bytes"] < 40 * 19 + 1 and result["fraction_scored"] == 1 and result["lossy_documents"] == 0
    rows = [row for row in read_metrics(tmp_path / "run") if "train/bpb" in row]
    assert all(0.2 < row["data/fraction_scored"] < 0.6 and row["data/bytes_dropped"] == 0 for row in rows)
    assert all(row["train/alm_loss"] > 0 and 0.8 < row["train/aligned"] <= 1 for row in rows)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["text"]["chat"]["template"] == (tmp_path / "a.jinja").read_text()
    list(keep_predictions_of(config, tmp_path / "kept", top_k=8))
    config.objective.teacher.cache = str(tmp_path / "kept")
    train(config, tmp_path / "of_kept")
    kept = [row for row in read_metrics(tmp_path / "of_kept") if "train/bpb" in row]
    assert kept[0]["train/alm_loss"] == pytest.approx(rows[0]["train/alm_loss"], rel=1e-3)
    config.objective.teacher.template = str(tmp_path / "a.jinja")
    with pytest.raises(SetupError, match="holds predictions of chats under another template"):
        make_setup(config)
    with pytest.raises(SetupError, match=r"objective.on_policy goes on with texts, and data.source has chats"):
        train(student(root, "bytes,alm", *data, *templates, "objective.on_policy.fraction=1.0"), tmp_path / "writes")
    for key, left in (("objective.teacher.template", templates[0]), ("text.chat.template", templates[1])):
        with pytest.raises(SetupError, match=f"data.source has chats: .* {key}"):
            make_setup(student(root, "bytes,alm", *data, left))
        with pytest.raises(SetupError, match=f"{key}: there is no chat template at nowhere"):
            make_setup(student(root, "bytes,alm", *data, f"{key}=nowhere"))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_student_learns_from_what_it_writes(root, dtype, tmp_path):
    """In one run with text: what it has written is in the log, and nothing of text is where it wrote."""
    policy = ("fraction=1.0", "prompt=20", "symbols=40", "temperature=0.7")
    config = student(root, "bytes,alm", *(f"objective.on_policy.{change}" for change in policy), "train.steps=2")
    config.model.compute_dtype, config.objective.teacher.dtype = dtype, dtype
    config.objective.teacher.symbols = 160
    train(config, tmp_path)
    for row in read_metrics(tmp_path):
        assert row["on_policy/texts"] == 8 * (160 // 60) and row["on_policy/lost_texts"] == 0
        assert row["train/alm_loss"] > 0 and row["data/bytes"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["objective.losses.alm.divergence=l2"], "objective.losses.alm: unknown divergence 'l2'"),
        (
            ["objective.losses.alm.weight=0.0", "objective.losses.next_symbol.weight=0.0"],
            "objective.losses has no loss with a weight",
        ),
        (["objective.teacher.run="], "objective.teacher.run is empty"),
    ],
)
def test_what_does_not_fit_is_refused(root, changes, message):
    """Before the first step, by the name of the setting."""
    with pytest.raises(SetupError, match=message):
        make_setup(student(root, "bytes,alm", *changes))


def test_states_of_another_width_are_not_compared(root):
    """A byte model's are as wide as it is."""
    config = student(root, "bytes,text", "objective.losses.hidden_states.weight=1.0", "model.backbone.D=16")
    setup = make_setup(config)
    with pytest.raises(ValueError, match="widths 16 and 32 cannot be compared"):
        setup.step().trace(setup.abstract_state, ahead_of_time.abstract_batch(setup))


def test_a_config_without_a_teacher_says_what_is_missing():
    """The file is about runs, and has no default."""
    with pytest.raises(ConfigError, match="say who teaches"):
        load_config(f"{CONFIGS}/distill.py")
