"""Objectives that ask for more than a model's own symbols: a second tokenisation, a vocabulary of the batch's own."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import batch, pieces, random_texts, small, small_config

from lexitok.config import default_config
from lexitok.config.files import load_config
from lexitok.data.batch import Batch, Tokenisation
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import make_piece
from lexitok.data.placement import put_batch
from lexitok.data.rows import pack_rows
from lexitok.data.spelling import Spelling
from lexitok.interfaces import INTERFACES
from lexitok.interfaces.bound import TableBound
from lexitok.models.extras import Extras
from lexitok.nn.parameters import normal
from lexitok.ops.read_out import Reductions
from lexitok.runs.metrics import read_metrics
from lexitok.text.alignment import NONE
from lexitok.training.loop import train
from lexitok.training.objectives import OBJECTIVES, Objective
from lexitok.training.objectives.language_modelling import language_modelling
from lexitok.training.setup import make_setup

SMALL = [
    *(f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16")),
    *("text.kind=bytes", "data.rows=8", "data.symbols=96", "data.packing_bins=4", "optimizer.warmup=1"),
    *("train.log_every=1", "train.eval_every=0", "train.checkpoint_every=2"),
]


def bytes_of_spans(sides: tuple, spans: int) -> list[jax.Array]:
    """Int32 `[B, spans]` for each side: the bytes of each span."""

    def one(tokens, of_BxS):
        of_BxS = jnp.where(of_BxS == NONE, spans, of_BxS)
        return jax.vmap(lambda n, at: jnp.zeros(spans + 1, jnp.int32).at[at].add(n))(tokens.bytes_BxS, of_BxS)[:, :-1]

    return [one(*side) for side in sides]


def aligned(symbols: int):
    """Makes an objective over two tokenisations: the nats of the first, and how far their spans differ in bytes."""

    def make(c, encoder) -> Objective:
        text = default_config().text
        text.splitter, text.boundary = "whitespace", "lagged"
        nats = language_modelling(c, encoder)

        def function(trained, fixed, batch: Batch):
            total, sums = nats(trained, fixed, batch)
            sides = (
                (batch.tokens, batch.others[0].alignment.of_first_BxS),
                (batch.others[0].tokens, batch.others[0].alignment.of_second_BxT),
            )
            a, b = bytes_of_spans(sides, batch.others[0].alignment.spans)
            return total, sums | {
                "unequal_loss": jnp.abs(a - b).sum().astype(jnp.float32),
                "span_loss": a.sum().astype(jnp.float32),
            }

        return Objective(function, (Tokenisation(make_encoder(text), symbols, 48),))

    return make


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for i in range(24):
        (folder / f"{i}.txt").write_text(" ".join(["Größe", "world", "世界", f"x{i}"] * (3 + i % 7)))
    return [f"data.source=text:{folder}/*.txt", f"data.cache={folder}/cache"]


@pytest.mark.slow
def test_an_objective_gets_the_second_tokenisation_that_it_asks_for(texts, tmp_path, monkeypatch):
    """The whole way, on a mesh, in micro-batches, through a stop: each batch holds the same bytes twice, span by span;
    what else it sums up is logged; the place in the data is one of both."""
    monkeypatch.setitem(OBJECTIVES, "aligned", aligned(104))
    mesh = ["mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2", "optimizer.accumulate=2", "objective.kind=aligned"]
    config = load_config("configs/bytes.py:cpu", [*SMALL, *texts, *mesh, "train.steps=2"])
    train(config, tmp_path)
    config.train.steps = 3
    train(config, tmp_path)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["train/unequal_loss"] == 0 and 1 < row["train/bpb"] < 10 and "train/extra_loss" not in row
        assert 0.8 < row["train/span_loss"] < 1  # bytes, of targets that are bytes and the ends of texts
        assert row["data/other_fraction_scored"] == row["data/fraction_scored"] == 1
        assert 0.3 < row["data/other_symbols_filled"] < row["data/symbols_filled"]  # of 104, and of 96
    monkeypatch.setitem(OBJECTIVES, "aligned", aligned(120))
    config.train.steps = 4
    with pytest.raises(ValueError, match="second was"):
        train(config, tmp_path)


class OfBytes(nnx.Module):
    """An interface whose vectors are made of the bytes of the symbols that a batch's vocabulary says."""

    def __init__(self, c, V, D, tokens=(), *, rngs):
        self.vocabulary_size, self.D = V, D
        self.of_byte = normal(rngs, "V D", (256, D), 1)

    def bind(self, seeds_B, vocabulary=None):
        found = self.of_byte[...][vocabulary["bytes_VxN"]]
        inside = jnp.arange(found.shape[1])[None] < vocabulary["lengths_V"][:, None]
        table = jnp.sum(jnp.where(inside[..., None], found, 0.0), axis=1)
        return TableBound(lambda ids, dtype: table[ids].astype(dtype), table * self.D**-0.5, 0.0)


@pytest.mark.slow
def test_a_vocabulary_comes_with_the_batch(monkeypatch):
    """It is whole on every device, in every micro-batch; and a model that knows symbols by it is as good under any
    numbering of them, specials included."""
    monkeypatch.setitem(INTERFACES, "of_bytes", OfBytes)
    rows = jax.device_get(batch("bytes", *([p] for p in pieces("bytes", *(t or b"x" for t in random_texts(2, 8))))))
    V, rng = 260, np.random.default_rng(0)
    vocabulary = {
        "bytes_VxN": np.stack([np.arange(V) % 256, np.arange(V) // 2 % 256], 1),
        "lengths_V": np.where(np.arange(V) < 256, 1, 2),
    }
    vocabulary = jax.tree.map(np.int32, vocabulary)
    number = rng.permutation(V).astype(np.int32)  # of each symbol
    back = np.argsort(number)
    tokens = dataclasses.replace(
        rows.tokens, symbols_BxS=number[rows.tokens.symbols_BxS], targets_BxS=number[rows.tokens.targets_BxS]
    )
    cases = {
        "mesh": (rows, vocabulary, {"data": 2, "fsdp": 2, "tensor": 2}, 2),
        "renumbered": (dataclasses.replace(rows, tokens=tokens), jax.tree.map(lambda x: x[back], vocabulary), {}, 1),
    }
    found = {}
    for name, (rows_of_it, vocabulary_of_it, mesh, micro) in cases.items():
        c = small_config("bytes")
        with c.unlocked():
            c.model.interface.kind = "of_bytes"
        c.data.rows, c.optimizer.accumulate, c.optimizer.warmup = 8, micro, 1
        c.mesh.update({"data": 1, "fsdp": 1, "tensor": 1, **mesh})
        setup = make_setup(c, devices=None if mesh else jax.devices()[:1])
        with jax.set_mesh(setup.mesh):
            given = put_batch(dataclasses.replace(rows_of_it, vocabulary=vocabulary_of_it))
            assert given.vocabulary["bytes_VxN"].sharding.is_fully_replicated
            assert given.tokens.symbols_BxS.sharding.is_fully_replicated == (not mesh)
            state, sums = setup.step()(setup.init_state(), given)
        found[name] = jax.device_get((sums["loss"], state.trained.interface.of_byte[...]))
    np.testing.assert_allclose(found["mesh"][0], found["renumbered"][0], rtol=2e-5)
    np.testing.assert_allclose(found["mesh"][1], found["renumbered"][1], atol=5e-4)


def test_a_document_ends_with_the_symbol_of_its_own_vocabulary(monkeypatch):
    """A vocabulary that is drawn for a batch has another one than the run's: its nats are no text's."""
    _, encoder = small("bytes")
    stream = encoder.encode(b"abba")
    rows = pack_rows([[make_piece(stream, 0, len(stream))]], symbols=8, units=None, pad=encoder.vocabulary.pad)
    rows = jax.tree.map(jnp.asarray, rows)

    class Says:
        def read_out(self, batch, query):
            one = jnp.ones(batch.tokens.targets_BxS.shape)
            return Reductions(one, one, one > 0), Extras(jnp.zeros((), jnp.float32), {})

    module = sys.modules[language_modelling.__module__]  # the package has the function by its name
    monkeypatch.setattr(module, "model_of", lambda trained, fixed: Says())
    nats = language_modelling(default_config().objective, encoder)
    assert float(nats(None, {}, rows)[1]["eot_nats"]) == 1
    drawn = Spelling(jnp.zeros((1, 1), jnp.int32), jnp.int32(0), jnp.int32(ord("b")))
    sums = nats(None, {}, dataclasses.replace(rows, vocabulary=drawn))[1]
    assert (float(sums["eot_nats"]), float(sums["nats"])) == (2, 3)
