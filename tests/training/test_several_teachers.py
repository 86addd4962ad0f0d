"""A student of several teachers: the losses with each, weighed; teachers of one tokenizer read the same tokens."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import DOCUMENTS, model_of

from lexitok import config as C
from lexitok.data.aligned_streams import cut_together
from lexitok.data.batch import Batch, Budget
from lexitok.data.chat_encoders import reading_chats
from lexitok.data.predictions import KeptPredictions
from lexitok.data.rows import pack_rows
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.sharding.mesh import make_mesh
from lexitok.sharding.rows import put_rows
from lexitok.text.alignment import classes_of
from lexitok.training.metrics import averages
from lexitok.training.objectives import distillation, teaching
from lexitok.training.state import SetupError
from lexitok.training.teachers import Teacher

KINDS = {"pairs": ("pairs", 1), "others": ("others", 2), "again": ("pairs", 3)}  # tokenizer and parameters, by run
LOSSES = {"next_symbol": 1.0, "alm": 0.5, "one_to_one": 2.0}


class Made(Teacher):
    """One of random parameters, of no run."""

    def model(self, fixed, name):
        return fixed[name]


@pytest.fixture(autouse=True)
def _runs(monkeypatch):
    """Of `kept:RUN` there are predictions alone."""

    def opened(c, key):
        encoder = model_of(*KINDS[c.run.removeprefix("kept:")])[1]
        encoder = reading_chats(encoder, c.template) if c.template else encoder
        kept = KeptPredictions(Path(c.run), {"top_k": 4}) if c.run.startswith("kept:") else None
        return Made(key, RunRecord(C.default_config(), b"", {}), c.run, encoder, kept=kept)

    monkeypatch.setattr(teaching, "open_teacher", opened)


def section(first, *others, trust="equal", **losses):
    """The section of a first teacher, and of further ones as `(run, weight)`."""
    c = C.distillation(**(losses or LOSSES))
    c.teacher.run, c.trust = first, trust
    with c.unlocked():
        for number, (run, weight) in enumerate(others):
            c.teachers[f"further{number}"] = C.further_teacher(run=run, weight=weight)
    return c


@functools.cache
def batch_of(*tokenizers):
    """Rows of documents in bytes, and in the tokens of each tokenizer."""
    encoders = [model_of(kind)[1] for kind in ("bytes", *tokenizers)]
    budgets = [Budget.of(encoder, 128, 64) for encoder in encoders]
    classes = [classes_of(encoder.vocabulary) for encoder in encoders]
    texts = [[[encoder.encode(text) for encoder in encoders] for text in row] for row in DOCUMENTS]
    rows = [[piece for streams in row for piece in cut_together(streams, budgets, classes)] for row in texts]
    return pack_rows(rows, symbols=128, units=None, pad=budgets[0].pad, others=budgets[1:])


def parts(c):
    """The student of bytes, what is fixed beside it, and the function of the objective."""
    student, encoder = model_of("bytes")
    made = distillation(c, encoder)
    runs = [c.teacher.run, *(teacher.run for teacher in c.teachers.values())]
    fixed = {name: model_of(*KINDS[run])[0] for name, run in zip(made.teachers, runs, strict=True)}
    return student, fixed | {"model": jax.tree.map(lambda _: None, student)}, made.function


def measured(c, batch):
    """The sums of the objective."""
    student, fixed, function = parts(c)
    sums = jax.jit(lambda *x: function(*x)[1])(student, fixed, jax.tree.map(jnp.asarray, batch))
    return {name: float(x) for name, x in sums.items()}


def test_each_teacher_is_what_it_is_alone():
    """Of different tokenizers, in one batch: every loss with each is that of this teacher, and the whole their weighted
    sum;the text counts once."""
    batch = batch_of("pairs", "others")
    sums = measured(section("pairs", ("others", 0.25)), batch)
    alone = [measured(section(kind), batch_of(kind)) for kind in ("pairs", "others")]
    weights = sums["weights"]
    for name in ("alm", "one_to_one"):
        for prefix, expected in (("", alone[0]), ("further0_", alone[1])):
            assert sums[f"{prefix}{name}_loss"] == pytest.approx(expected[f"{name}_loss"], rel=1e-5)
    assert "further0_next_symbol_loss" not in sums
    assert sums["next_symbol_loss"] == pytest.approx(alone[0]["next_symbol_loss"], rel=1e-6)
    whole = sum(LOSSES[name] * sums[f"{name}_loss"] for name in LOSSES)
    whole += 0.25 * sum(LOSSES[name] * sums[f"further0_{name}_loss"] for name in ("alm", "one_to_one"))
    assert sums["loss"] == pytest.approx(whole, rel=1e-5)
    log = averages(sums | {"grad_norm": 1.0}, 1)
    assert log["further0_aligned"] == pytest.approx(alone[1]["aligned"] / weights) and log["aligned"] > 0.9
    assert log["further0_alm_weight"] == pytest.approx(0.125) and log["alm_weight"] == pytest.approx(0.5)


@pytest.mark.slow
def test_the_mesh_does_not_matter():
    """In values and gradients, of teachers that the mesh splits with the rows."""
    c, batch, found = section("pairs", ("others", 0.25)), batch_of("pairs", "others"), []
    student, fixed, function = parts(c)
    program = jax.jit(jax.grad(function, has_aux=True))
    for mesh in (make_mesh(data=1, devices=jax.devices()[:1]), make_mesh(data=2, fsdp=2, tensor=2)):
        with jax.set_mesh(mesh):
            found.append(jax.device_get(program(student, fixed, put_rows(batch))))
    (expected, sums), (gradient, split) = found
    for name, value in sums.items():
        assert split[name] == pytest.approx(value, rel=1e-4), name
    scale = max(float(np.abs(x).max()) for x in jax.tree.leaves(expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a / scale, b / scale, atol=1e-5), gradient, expected)


def test_a_teacher_that_is_there_twice_counts_twice():
    """By one tokenisation."""
    twice = section("pairs", ("pairs", 1.0), alm=1.0)
    assert len(distillation(twice, model_of("bytes")[1]).tokenisations) == 1
    sums, expected = measured(twice, batch_of("pairs")), measured(section("pairs", alm=2.0), batch_of("pairs"))
    assert sums["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert sums["alm_loss"] == sums["further0_alm_loss"] == pytest.approx(expected["alm_loss"], rel=1e-6)


def test_teachers_count_by_how_likely_the_text_is_to_them():
    """By nats of a byte, since their tokens are of other lengths; all together they count as before."""
    batch = batch_of("pairs", "others")
    sums = measured(section("pairs", ("others", 1.0), ("again", 1.0), trust="likelihood", alm=1.0), batch)
    weights = np.array([sums[f"{prefix}alm_weight"] for prefix in ("", "further0_", "further1_")]) / sums["weights"]
    assert weights.sum() == pytest.approx(3, rel=1e-5)
    nats = []
    for run, place in (("pairs", 0), ("others", 1), ("again", 0)):
        tokens = jax.tree.map(jnp.asarray, batch.others[place].tokens)
        found, _ = model_of(*KINDS[run])[0].read_out(Batch(tokens, jnp.asarray(batch.seeds_B)))
        scored = tokens.weights_BxS
        nats.append(float((scored * found.nll_BxS).sum() / (scored * tokens.bytes_BxS.astype(jnp.float32)).sum()))
    expected = np.exp(-np.array(nats)) / np.exp(-np.array(nats)).sum() * 3
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_teachers_of_one_tokenizer_may_read_chats_under_two_templates():
    """Then they do not read the same, whatever their tokens."""
    c = section("pairs", ("pairs", 1.0), ("again", 1.0))
    first, second, third = c.teacher, *c.teachers.values()
    first.template = third.template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    second.template = "{% for m in messages %}{{ m.role + m.content }}{% endfor %}"
    made = distillation(c, model_of("bytes")[1])
    assert [other.encoder.template for other in made.tokenisations] == [first.template, second.template]


def test_kept_predictions_are_one_teachers():
    """Documents have room for those of one; another teacher may be asked beside it."""
    with pytest.raises(SetupError, match=r"set objective.teacher.cache or objective.teachers.further0.cache"):
        distillation(section("kept:pairs", ("kept:others", 1.0)), model_of("bytes")[1])
    made = distillation(section("kept:pairs", ("others", 1.0), ("pairs", 1.0)), model_of("bytes")[1])
    assert list(made.teachers) == ["further0_teacher", "further1_teacher"]
    assert [other.kept is not None for other in made.tokenisations] == [True, False, False]


def test_a_trust_that_there_is_not_is_named():
    """Before the first step."""
    with pytest.raises(SetupError, match="unknown objective.trust 'blind'; there are equal, likelihood"):
        distillation(section("pairs", trust="blind"), model_of("bytes")[1])
