"""Runs whose every batch is under a tokenizer of its own, which the interface makes its vectors from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import TEXT

from lexitok.config.files import load_config
from lexitok.data.batch import Tokenisation
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.pipeline import train_iterator
from lexitok.data.spelling import Spelled
from lexitok.evals import evaluate
from lexitok.interfaces import INTERFACES
from lexitok.interfaces.bound import TableBound
from lexitok.models.build import evaluated
from lexitok.nn.parameters import normal
from lexitok.runs.metrics import read_metrics
from lexitok.text.drawn.sampler import SamplerSettings, TokenizerSampler
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.matching import NONE
from lexitok.training.ahead_of_time import abstract_batch
from lexitok.training.loop import train
from lexitok.training.objectives import OBJECTIVES, Objective
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError

pytestmark = pytest.mark.slow  # whole trainings

SOURCE = UnigramTokenizer([*(bytes([i]) for i in range(256)), b"th", b"or", b" w"], np.full(259, -5.0))
OWN = UnigramTokenizer([*(bytes([i]) for i in range(256)), b"the", b"wor", "世".encode()], np.full(259, -5.0))
PARTS = 4
SMALL = [
    *(f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16")),
    *("data.rows=8", "data.symbols=32", "data.tokenizers=drawn", "data.drawn.size=300", f"data.drawn.parts={PARTS}"),
    *("data.drawn.window_bytes=300", "data.drawn.longest=6", "data.drawn.whitespace=2", "optimizer.warmup=1"),
    *("train.log_every=1", "train.eval_every=0", "train.checkpoint_every=2", "optimizer.lr=0.02", "train.steps=5"),
]


class OfParts(nnx.Module):
    """An interface whose vectors are the sums of those of a token's parts; the run's own tokens have parts too."""

    def __init__(self, c, V, D, tokens=(), *, rngs):
        self.vocabulary_size, self.D = V, D
        self.of_part = normal(rngs, "V D", (SOURCE.vocabulary.size, D), 1)

    def bind(self, seeds_B, vocabulary=None):
        parts = Spelled(SOURCE, PARTS)(OWN.vocabulary) if vocabulary is None else vocabulary
        parts_VxP = jnp.asarray(parts.parts_VxP)
        found = self.of_part[...][jnp.maximum(parts_VxP, 0)]
        table = jnp.sum(jnp.where((parts_VxP != NONE)[..., None], found, 0.0), axis=1)
        return TableBound(lambda ids, dtype: table[ids].astype(dtype), table * self.D**-0.5, 0.0)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Settings of a run: text, the tokenizer that spells, and the run's own."""
    folder = tmp_path_factory.mktemp("texts")
    for i in range(30):
        (folder / f"{i}.txt").write_text(" ".join(["Größe", "the world", "世界", f"x{i}"] * (1 + i % 7)))
    for name, tokenizer in (("source", SOURCE), ("own", OWN)):
        (folder / f"{name}.model").write_bytes(tokenizer.to_bytes())
    return [
        *SMALL,
        *(f"data.source=text:{folder}/*.txt", f"data.cache={folder}/cache", "eval.bytes=500"),
        *(f"data.drawn.source={folder}/source.model", f"text.vocabulary.path={folder}/own.model"),
    ]


@pytest.fixture
def of_parts(monkeypatch):
    """Names the interface in a config."""
    monkeypatch.setitem(INTERFACES, "of_parts", OfParts)

    def config(*settings):
        c = load_config("configs/subword.py:cpu", settings)
        with c.unlocked():
            c.model.interface.kind = "of_parts"
        return c

    return config


def test_a_run_learns_and_goes_on_as_if_it_had_not_stopped(given, of_parts, tmp_path):
    """On a mesh, in micro-batches: the same numbers after a stop, to the last bit; all text read; evaluated under the
    run's own tokenizer; and what is compiled ahead of time is what is run."""
    mesh = [
        "mesh.data=2",
        "mesh.fsdp=2",
        "mesh.tensor=2",
        "optimizer.accumulate=2",
        "train.eval_every=5",
        "optimizer.schedule=constant",
    ]
    config = of_parts(*given, *mesh)
    result = train(config, tmp_path / "whole")
    config.train.steps = 3
    train(config, tmp_path / "stopped")
    config.train.steps = 5
    again = train(config, tmp_path / "stopped")

    def numbers(run):
        rows = [row for row in read_metrics(tmp_path / run) if "train/bpb" in row]
        return [{k: v for k, v in row.items() if k.startswith("train/") or k in ("step", "bytes")} for row in rows]

    whole, stopped = numbers("whole"), numbers("stopped")
    assert whole == stopped and [row["step"] for row in whole] == [1, 2, 3, 4, 5]
    last = read_metrics(tmp_path / "stopped")[-2]
    assert last["data/bytes_dropped"] == 0 and last["data/bytes"] == last["bytes"] == result["train_bytes"]
    assert again["bpb"] == result["bpb"]
    assert whole[-1]["train/bpb"] < whole[0]["train/bpb"] - 1
    assert result["fraction_scored"] == again["fraction_scored"] == 1 and result["train_flops"] > 0

    setup = make_setup(config)
    described, batch = abstract_batch(setup), next(train_iterator(config, setup.encoder))
    assert described.vocabulary.parts_VxP.sharding.is_fully_replicated
    assert jax.tree.structure(described) == jax.tree.structure(batch)
    for x, y in zip(jax.tree.leaves(described), jax.tree.leaves(batch), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)


def test_a_model_is_evaluated_under_any_tokenizer(given, of_parts):
    """Its own, as if it came with the batches, is the same as without; another scores every byte too."""
    setup = make_setup(of_parts(*given), devices=jax.devices()[:1])
    model, shape = evaluated(setup.init_model()), {"rows": 2, "symbols": 32, "units": 1, "overlap": 0.5}
    documents, spelled = [TEXT, b"", b"\xff the world" * 9], Spelled(SOURCE, PARTS)
    plain = evaluate(model, setup.encoder, documents, **shape)
    given_own = evaluate(model, setup.encoder, documents, **shape, vocabulary=spelled(OWN.vocabulary))
    np.testing.assert_allclose([d.nats for d in given_own.documents], [d.nats for d in plain.documents], rtol=1e-6)
    sampler = TokenizerSampler(SamplerSettings(size=300, longest=6, whitespace=2))
    sampler.add(documents)
    other = sampler.sample()
    found = evaluate(model, SubwordEncoder(other), documents, **shape, vocabulary=spelled(other.vocabulary))
    assert found.summary()["fraction_scored"] == 1 and found.bpb != plain.bpb and np.isfinite(found.bpb)


def two(c, encoder) -> Objective:
    """An objective that asks for a second tokenisation."""
    made = OBJECTIVES["language_modelling"](c, encoder)
    return Objective(made.function, (Tokenisation(encoder, 32, 1),))


def test_what_cannot_go_together_is_refused(given, tmp_path, monkeypatch):
    """Before anything is written: a run would train on something else than it says."""
    monkeypatch.setitem(OBJECTIVES, "two", two)
    for change, message in (
        (["text.kind=bytes"], r"data\.tokenizers 'drawn' needs text\.kind 'subword', not 'bytes'"),
        (["objective.kind=two"], "another tokenisation, as a teacher's, has to be that of data.drawn.source"),
        (["data.tokenizers=mine"], r"data\.tokenizers is 'mine'; there are own, drawn"),
        (["data.drawn.source="], r"data\.drawn\.source is empty"),
        (["data.drawn.size=9"], "size is 9"),
    ):
        with pytest.raises(SetupError, match=message):
            make_setup(load_config("configs/subword.py:cpu", [*given, *change]))
    with pytest.raises(ValueError, match="the interface Table has vectors for the symbols of the model's"):
        train(load_config("configs/subword.py:cpu", given), tmp_path / "run")
    assert not any((tmp_path / "run").glob("*.json*"))
