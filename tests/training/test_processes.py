"""Two processes that train one model together: as one process would, and through a restart."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from samples import CONFIGS, TEXT

from lexitok.config.files import load_config
from lexitok.data.pipeline import train_iterator
from lexitok.data.placement import put_batch
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.metrics import read_metrics
from lexitok.runs.parameters import read_parameters
from lexitok.text.bits import bits_per_byte
from lexitok.training.keeping import keep_predictions_of
from lexitok.training.loop import train
from lexitok.training.processes import ProcessesError, join
from lexitok.training.setup import make_setup

TRAIN = Path(__file__).parents[2] / "experiments" / "train.py"
SETTINGS = [
    *("data.rows=8", "data.symbols=64", "data.packing_bins=4", "mesh.data=2", "mesh.fsdp=2", "optimizer.warmup=0"),
    *(
        "model.backbone.D=16",
        "model.backbone.L=1",
        "model.backbone.N=4",
        "model.backbone.F=24",
        "model.backbone.K=4",
        "model.backbone.H=4",
    ),
    *("text.vocabulary.size=320", "train.log_every=1", "train.eval_every=2", "train.checkpoint_every=2"),
    *("train.ema=0.9", "eval.bytes=2000", "optimizer.lr=1e-2"),
]
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": "2",
    "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}


def run_two(workdir: Path, config: str, settings: list[str]) -> list[subprocess.CompletedProcess]:
    """Trains with two processes of two devices each, which have only the directory and a port in common."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    command = [sys.executable, TRAIN, f"--config={config}", f"--workdir={workdir}"]
    command += [f"--config.{setting}" for setting in settings]
    started = [
        subprocess.Popen(
            [*command, f"--processes={address},2,{index}"],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    ended = []
    for process in started:
        out, error = process.communicate(timeout=240)
        ended.append(subprocess.CompletedProcess(process.args, process.returncode, out, error))
    for process in ended:
        assert process.returncode == 0, process.stderr[-3000:]
    return ended


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> list[str]:
    root = tmp_path_factory.mktemp("processes")
    (root / "texts").mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        words = rng.permutation(TEXT.decode().split())
        (root / "texts" / f"{i}.txt").write_text(" ".join(words))
    return [*SETTINGS, f"data.source=text:{root}/texts/*.txt", f"data.cache={root}/cache"]


def of_one_process(config: str, settings: list[str], steps: int) -> tuple[dict, list[float]]:
    """Parameters and bits per byte after steps of one process on the rows of both."""
    c = load_config(config, [*settings, f"train.steps={steps}"])
    setup = make_setup(c, devices=jax.devices()[:4])
    others = setup.objective.tokenisations
    count = 1 if c.data.tokenizers == "drawn" else 2  # of drawn tokenizers, each process makes the whole batch
    data = setup.config  # with what the objective and the model say of it
    shares = [train_iterator(data, setup.encoder, share=(i, count), others=others) for i in range(count)]
    found = []
    with jax.set_mesh(setup.mesh):
        state, step = setup.init_state(), setup.step()
        for _ in range(steps):
            rows = jax.tree.map(lambda *x: np.concatenate(x) if len(x) > 1 else x[0], *map(next, shares))
            state, sums = step(state, put_batch(rows))
            found.append(bits_per_byte(float(sums["nats"]), float(sums["bytes"])))
    return names(jax.device_get(to_dicts(state.averaged))), found


@pytest.mark.parametrize(
    ("config", "more"),
    [
        ("subword.py:tiny", []),
        pytest.param("interfaces.py:glyphs,subword", [], marks=pytest.mark.slow),
        pytest.param("subword.py:tiny", ["optimizer.rows=7,100:163"], marks=pytest.mark.slow),
    ],
)
def test_two_processes_are_one(config, more, settings, tmp_path):
    """They see other rows each and have parts of the model each; what comes out is what one process comes to.

    They stop after two steps, and go on for two more: the checkpoint has the place of both in the data. What no
    checkpoint has, as pictures, both make again.
    """
    assert_two_are_one(tmp_path / "run", f"{CONFIGS}/{config}", [*settings, *more])


@pytest.mark.slow
def test_two_processes_have_a_teacher_as_one_has(settings, tmp_path):
    """A second tokenisation in their rows, and what losses learn and remember."""
    alone = [*settings, "train.steps=2", "mesh.data=4"]
    train(load_config(f"{CONFIGS}/subword.py:tiny", alone), tmp_path / "teacher")
    losses = ("alm.weight=1.0", "hidden_states.weight=0.5", "hidden_states.project=True")
    more = [*(f"objective.losses.{loss}" for loss in losses), "objective.weighting.kind=gradnorm"]
    more += ["data.symbols=160", "objective.teacher.symbols=80"]
    assert_two_are_one(tmp_path / "run", f"{CONFIGS}/distill.py:{tmp_path}/teacher,bytes", [*settings, *more])


@pytest.mark.slow
def test_two_processes_have_several_teachers_as_one_has(settings, tmp_path):
    """One of which predictions are kept, that each process reads for its own documents, and one that is asked."""
    alone = [*settings, "train.steps=2", "mesh.data=4"]
    for name, more in (("first", []), ("other", ["text.vocabulary.size=340", "seed=1"])):
        train(load_config(f"{CONFIGS}/subword.py:tiny", [*alone, *more]), tmp_path / name)
    config = f"{CONFIGS}/distill.py:{tmp_path}/first+{tmp_path}/other,bytes"
    more = ["data.symbols=160", "objective.teacher.symbols=96", "objective.teachers.second.symbols=96"]
    c = load_config(config, [*settings, *more])
    assert sum(count for count, _ in keep_predictions_of(c, tmp_path / "kept", top_k=8)) > 30
    more += [f"objective.teacher.cache={tmp_path}/kept", "objective.teachers.second.weight=0.5"]
    assert_two_are_one(tmp_path / "run", config, [*settings, *more])


@pytest.mark.slow
def test_two_processes_read_chats_as_one_does(settings, tmp_path):
    """Each under two templates."""
    train(load_config(f"{CONFIGS}/subword.py:tiny", [*settings, "train.steps=2", "mesh.data=4"]), tmp_path / "teacher")
    rng = np.random.default_rng(0)
    for split in ("train", "validation"):
        said = [[" ".join(rng.permutation(TEXT.decode().split())) for _ in range(2)] for _ in range(40)]
        chats = [[{"role": r, "content": x} for r, x in zip(("user", "assistant"), two, strict=True)] for two in said]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(json.dumps({"messages": chat}) for chat in chats))
    (tmp_path / "a.jinja").write_text("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}")
    (tmp_path / "b.jinja").write_text("{% for m in messages %}{{ '<' + m.role + '> ' + m.content }}{% endfor %}")
    more = [f"data.source=chats:{tmp_path}/{{split}}.jsonl", "data.field=messages", "data.symbols=256"]
    more += [f"text.chat.template={tmp_path}/a.jinja", f"objective.teacher.template={tmp_path}/b.jinja"]
    config = f"{CONFIGS}/distill.py:{tmp_path}/teacher,bytes"
    assert_two_are_one(tmp_path / "run", config, [*settings, *more, "objective.teacher.symbols=160"])


@pytest.mark.slow
def test_two_processes_train_a_hypernetwork_as_one_does(settings, tmp_path):
    """Each batch is under a tokenizer that both draw, and the base model that reads it under its own teaches."""
    train(load_config(f"{CONFIGS}/subword.py:tiny", [*settings, "train.steps=2", "mesh.data=4"]), tmp_path / "base")
    more = [f"model.interface.run={tmp_path}/base", "data.drawn.size=300", "data.drawn.window_bytes=2000"]
    assert_two_are_one(tmp_path / "run", f"{CONFIGS}/hypernetwork.py:tiny,alm", [*settings, *more])


def assert_two_are_one(workdir: Path, config: str, settings: list[str]) -> None:
    run_two(workdir, config, [*settings, "train.steps=2", "optimizer.schedule=constant"])
    ended = run_two(workdir, config, [*settings, "train.steps=4", "optimizer.schedule=constant"])
    expected, bpb = of_one_process(config, [*settings, "optimizer.schedule=constant"], 4)
    rows = read_metrics(workdir)
    np.testing.assert_allclose([row["train/bpb"] for row in rows if "train/bpb" in row], bpb, rtol=1e-4)
    assert [row["step"] for row in rows if "eval/bpb" in row] == [2, 4]
    for name, x in read_parameters(workdir).parameters.items():
        np.testing.assert_allclose(x, expected[name], atol=2e-4, err_msg=name)
    # One of them talks, and both know the result.
    assert "4/4" in ended[0].stderr and "4/4" not in ended[1].stderr
    results = [json.loads(process.stdout[process.stdout.index("{") :]) for process in ended]
    assert results[0]["bpb"] == results[1]["bpb"] == pytest.approx(rows[-1]["eval/bpb"])


@pytest.mark.parametrize(
    ("processes", "message"),
    [("two", "is one of one, auto, ADDRESS:PORT,COUNT,INDEX, not 'two'"), ("a:1,2,2", "the last is number 1")],
)
def test_processes_are_named_right(processes, message):
    """A process that waits for others that never come says nothing at all."""
    with pytest.raises(ProcessesError, match=message):
        join(processes)
