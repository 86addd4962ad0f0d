"""Steps about what the student writes: the symbols that it drew, the teacher on the same bytes, no loss elsewhere."""

import jax
import numpy as np
import pytest
from samples import CONFIGS, TEXT, Pairs, made, slow_if, small_config

from lexitok.config import on_policy
from lexitok.config.files import load_config
from lexitok.data.batch import Tokenisation
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.placement import put_batch
from lexitok.data.sources import open_source
from lexitok.ops.read_out import Query
from lexitok.runs.metrics import read_metrics
from lexitok.training.loop import train
from lexitok.training.on_policy import OnPolicy
from lexitok.training.state import SetupError

KINDS = slow_if(lambda kind: kind != "pairs", ["pairs", "bytes", "hat_v1", "hat_v2", "hnet", "bolmo"])
LENGTHS = {"rows": 2, "symbols": 96, "units": 48}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("policy")
    (root / "texts").mkdir()
    for i in range(20):
        (root / "texts" / f"{i}.txt").write_bytes(TEXT * (1 + i % 3) + str(i).encode())
    return root


def corpus_of(root):
    return open_source(f"text:{root}/texts/*.txt", "train", cache=root / "cache")


def student_of(kind):
    c = small_config("bytes" if kind == "pairs" else kind)
    if kind == "pairs":
        c.text.kind = "subword"
    return made(c, Pairs() if kind == "pairs" else None)


def policy_of(root, encoder, **changes):
    c = on_policy(**({"fraction": 1.0, "prompt": 20, "symbols": 24, "temperature": 0.0} | changes))
    teacher = SubwordEncoder(Pairs())
    return OnPolicy(c, encoder, [Tokenisation(teacher, 128, 1)], corpus_of(root), **LENGTHS, seed=0), teacher


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_holds_what_the_student_drew(root, kind):
    """Without chance, all that is scored is what the student holds most likely; both sides are the same bytes."""
    model, encoder = student_of(kind)
    policy, teacher = policy_of(root, encoder)
    batch = policy.batch(model, 1)
    found, _ = jax.jit(lambda model, batch: model.read_out(batch, Query(top_k=8)))(model, put_batch(batch))
    scored = batch.tokens.weights_BxS > 0
    never = [i for i in encoder.vocabulary.specials if i != encoder.vocabulary.eot]
    tops = np.asarray(found.top_ids_BxSxk)
    top = np.take_along_axis(tops, np.isin(tops, never).argmin(axis=2)[..., None], axis=2)[..., 0]
    right = (top == batch.tokens.targets_BxS)[scored].mean()
    # Where symbols say where units end, the student may say otherwise than the splitter, by which the batch is.
    assert scored.sum() > 5 and (right == 1 or encoder.rule.marks != "nothing")
    for row in range(LENGTHS["rows"]):
        for number in range(1, batch.tokens.segments_BxS[row].max() + 1):
            ours, theirs = (
                coder.decode(tokens.targets_BxS[row][tokens.segments_BxS[row] == number])
                for coder, tokens in ((encoder, batch.tokens), (teacher, batch.others[0].tokens))
            )
            assert ours == theirs
            at = batch.tokens.segments_BxS[row] == number
            prompt = int(batch.tokens.bytes_BxS[row][at & ~scored[row]].sum())
            assert 0 < prompt <= 20
            assert any(ours[:prompt] in document.data for document in corpus_of(root).documents())
    metrics = policy.take_metrics(1)
    assert metrics["on_policy/texts"] == 2 * (96 // 44)
    assert metrics["on_policy/lost_texts"] == metrics["on_policy/texts"] - batch.tokens.segments_BxS.max(axis=1).sum()
    assert metrics["on_policy/symbols"] <= 24 * metrics["on_policy/texts"]
    assert policy.take_metrics(1)["on_policy/texts"] == 0


def test_symbols_that_the_tokenizer_would_not_make_are_kept_and_counted(root):
    """A model that has learnt nothing draws bytes that its tokenizer would join."""
    model, encoder = student_of("pairs")
    policy, _ = policy_of(root, encoder, temperature=1.0)
    batch = policy.batch(model, 3)
    differing = 0
    for row in range(LENGTHS["rows"]):
        for number in range(1, batch.tokens.segments_BxS[row].max() + 1):
            at = batch.tokens.segments_BxS[row] == number
            targets = batch.tokens.targets_BxS[row][at]
            anew = encoder.encode(encoder.decode(targets)).symbols
            differing += targets.tolist() != anew[: len(targets)].tolist()
    drift = policy.take_metrics(3)["on_policy/retokenisation_drift"]
    assert (drift > 0) == (differing > 0) and drift < 1


def test_what_is_drawn_follows_from_the_step(root):
    """Whatever was drawn before: a run that was stopped goes on as it would have."""
    model, encoder = student_of("pairs")
    policy, again = (policy_of(root, encoder, temperature=1.0, fraction=0.5)[0] for _ in range(2))
    first, later = policy.batch(model, 4), policy.batch(model, 5)
    jax.tree.map(np.testing.assert_array_equal, again.batch(model, 5), later)
    assert (first.tokens.targets_BxS != later.tokens.targets_BxS).any()
    assert [policy.writes(n) for n in range(50)] == [again.writes(n) for n in range(50)]
    assert 10 < sum(policy.writes(n) for n in range(50)) < 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"prompt": 0}, "prompt=0 bytes"),
        ({"symbols": 90}, "do not go into rows of 96"),
        ({"temperature": -1.0}, "temperature is -1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(root, changes, message):
    """Before the first step."""
    _, encoder = student_of("bytes")
    with pytest.raises(SetupError, match=message):
        policy_of(root, encoder, **changes)


def test_bytes_that_the_alphabet_lacks_are_lost_and_counted(root):
    """A student that has learnt nothing writes what is no UTF-8: no step breaks off for it."""
    c = small_config("bytes")
    c.text.alphabet = "in_bytes"
    model, encoder = made(c)
    policy, _ = policy_of(root, encoder, temperature=1.0)
    batch = policy.batch(model, 1)
    metrics = policy.take_metrics(1)
    there = batch.tokens.segments_BxS.max(axis=1).sum()
    assert 0 < metrics["on_policy/lost_texts"] == metrics["on_policy/texts"] - there


def test_several_processes_are_refused(root, monkeypatch):
    """Each would write texts of its own."""
    _, encoder = student_of("bytes")
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(SetupError, match="runs in one process"):
        policy_of(root, encoder)


@pytest.mark.slow
def test_a_run_writes_and_learns_through_a_stop(root, tmp_path):
    """On a mesh: stopped and resumed it logs what a run that goes through logs."""
    source = [f"data.source=text:{root}/texts/*.txt", f"data.cache={root}/cache", "data.packing_bins=4"]
    stack = [f"model.backbone.{axis}" for axis in ("D=32", "L=1", "H=2", "K=2", "N=16", "F=48")]
    run = ["train.eval_every=0", "train.log_every=1", "train.checkpoint_every=2", "data.rows=8"]
    run += ["optimizer.warmup=1", "optimizer.schedule=constant"]
    small = [*source, *stack, *run, "text.vocabulary.size=320", "data.symbols=96"]
    train(load_config(f"{CONFIGS}/subword.py:tiny", [*small, "train.steps=1"]), tmp_path / "teacher")
    policy = ["on_policy.fraction=0.6", "on_policy.prompt=16", "on_policy.symbols=16", "teacher.symbols=96"]
    student = [*small, "data.symbols=128", "mesh.data=2", "mesh.fsdp=4", *(f"objective.{change}" for change in policy)]
    config = load_config(f"{CONFIGS}/distill.py:{tmp_path}/teacher,bytes", student)
    for name, stops in (("whole", [4]), ("stopped", [2, 4])):
        for steps in stops:
            config.train.steps = steps
            train(config, tmp_path / name)
    rows = [[row for row in read_metrics(tmp_path / name) if "train/bpb" in row] for name in ("whole", "stopped")]
    assert [row["on_policy/texts"] > 0 for row in rows[0]].count(True) in (1, 2, 3)
    for a, b in zip(*rows, strict=True):
        for name, value in a.items():
            if name.startswith(("train/", "on_policy/")):
                assert b[name] == pytest.approx(value, rel=1e-6), name
        assert a["on_policy/texts"] in (0, 8 * (128 // 32)) and a["train/alm_loss"] > 0
