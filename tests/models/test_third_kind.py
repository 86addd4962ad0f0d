"""A third kind of model is one file and a line in `MODELS`."""

import ast

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict
from samples import CONFIGS

from lexitok.analysis.compare import compare_runs
from lexitok.config import default_config, innermost, section, table
from lexitok.config.older import completed
from lexitok.config.sections import SECTIONS
from lexitok.data.encoders import make_encoder
from lexitok.evals import evaluate
from lexitok.inference.byte_model import byte_model
from lexitok.inference.decoder import Decoder
from lexitok.inference.generate import generate
from lexitok.interfaces import make_interface
from lexitok.models import MODELS
from lexitok.models.build import model_for
from lexitok.models.decodable import Decodable
from lexitok.models.extras import Extras, of_batch
from lexitok.runs.load import load_model
from lexitok.runs.run import read_run
from lexitok.training.loop import train

TEXT = b"to be, or not to be"


class Bigrams(nnx.Module):
    """The next symbol from the last one alone."""

    kinds_of_text = ("bytes",)
    needs = ()
    finds_units = False

    @staticmethod
    def check(config):
        if config.model.D < 1:
            raise ValueError("model.D is too small")

    def __init__(self, c, V, *, dtype, rngs):
        self.dtype = dtype
        self.interface = make_interface(c.interface, V, c.D, rngs)

    def features(self, batch):
        bound = self.interface.bind(batch.seeds_B, batch.vocabulary)
        return {"hidden": bound.embed(batch.tokens.symbols_BxS, self.dtype)}

    def read_out(self, batch, query=None):
        bound, hidden = self.interface.bind(batch.seeds_B, batch.vocabulary), self.features(batch)["hidden"]
        return bound.read_out(hidden, of_batch(query, batch)), Extras(jnp.zeros((), jnp.float32), {})

    def check_decoding(self, encoder):
        return None

    def longest_unit(self, encoder):
        return 1

    def empty(self, rows, symbols, longest, chunk):
        return jnp.zeros(rows, jnp.int32)  # it keeps nothing but the number of symbols

    def extend(self, state, reads, closes, longest, bound):
        hidden = bound.embed(jnp.maximum(reads.symbols_BxT, 0), self.dtype)
        return state + (reads.positions_BxT >= 0).sum(1, dtype=jnp.int32), hidden


def _section():
    return ConfigDict({"kind": "bigrams", "compute_dtype": "float32", "D": 16, "interface": table()})


@pytest.fixture
def bigrams(monkeypatch):
    """The whole tree of settings of a small one, its encoder, and the model."""
    monkeypatch.setitem(MODELS, "bigrams", Bigrams)
    section("bigrams")(_section)
    yield (c := _config()), make_encoder(c.text), model_for(c, make_encoder(c.text))(nnx.Rngs(0))
    del SECTIONS["bigrams"]


def _config():
    c = default_config()
    c.text.kind = "bytes"
    with c.unlocked():
        c.model = _section()
    return c


def test_it_goes_the_whole_way(bigrams, tmp_path):
    """Trained, evaluated, loaded, compared, decoded, its older configs read: no other module may have to know of it."""
    c, encoder, _ = bigrams
    texts = [b"abcabcabc" * (3 + i % 5) for i in range(30)]
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.txt").write_bytes(text)
    c.data.source, c.data.cache = f"text:{tmp_path}/*.txt", str(tmp_path / "cache")
    c.data.rows, c.data.symbols, c.data.packing_bins = 8, 64, 8
    c.optimizer.warmup, c.optimizer.lr = 1, 0.3
    c.train.steps = c.train.eval_every = c.train.checkpoint_every = 40
    c.mesh.update({"data": 2, "fsdp": 2, "tensor": 2})
    result = train(c, tmp_path / "run")
    assert result["bpb"] < 0.3 and result["fraction_scored"] == 1 and result["train_flops"] > 0
    model, encoder = load_model(tmp_path / "run")
    assert isinstance(model, Decodable)
    found = evaluate(model, encoder, texts[:4], rows=2, symbols=64, units=8, overlap=0.5)
    assert found.bpb < 0.3
    assert generate(model, encoder, [b"ab"], max_bytes=4, temperature=0.0) == [b"cabc"]
    assert np.asarray(byte_model(model, encoder, 1, 8).next_bytes()).shape == (1, 257)
    assert len(compare_runs([read_run(tmp_path / "run")])) == 1
    assert innermost(c.model) is c.model
    older = c.copy_and_resolve_references()
    with older.unlocked():
        del older.model["D"]
    assert completed(older).model.D == 16


def test_its_rows_can_be_taken(bigrams):
    """Where the rows are in a state is found out, for any kind of state."""
    _, encoder, model = bigrams
    decoder = Decoder(model, encoder, 2, 64)
    decoder.read([[encoder.vocabulary.bos, *TEXT], [encoder.vocabulary.bos]])
    taken = decoder.take([1, 0, 1])
    assert np.asarray(taken._state.caches).tolist() == [1, 1 + len(TEXT), 1]


def test_what_the_class_says_is_asked(bigrams):
    """A wrong kind of text, and settings that do not go together, must be refused in the same way for every model."""
    c, encoder, _ = bigrams
    c.text.kind = "subword"
    with pytest.raises(ValueError, match="model.kind 'bigrams' needs text.kind bytes, not 'subword'"):
        model_for(c, encoder)
    c.text.kind, c.model.D = "bytes", 0
    with pytest.raises(ValueError, match="model.D is too small"):
        model_for(c, encoder)


def test_a_model_that_cannot_be_decoded(bigrams, monkeypatch):
    """It must be named, with what it lacks."""
    _, encoder, model = bigrams
    monkeypatch.delattr(Bigrams, "extend")
    monkeypatch.delattr(Bigrams, "empty")
    with pytest.raises(ValueError, match="a Bigrams cannot be decoded: it has no empty, extend"):
        Decoder(model, encoder, 1, 10)


def test_no_other_room_names_the_kinds():
    """What asks for a kind by its name has no answer for the next one.

    Their settings are in the tree of all settings, and the layouts of published checkpoints are of token models.
    """
    root, wrong = CONFIGS.parent / "lexitok", []
    for path in root.rglob("*.py"):
        where = path.relative_to(root)
        if where.parts[0] in ("models", "hub") or str(where) in ("config/tree.py", "config/__init__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            said = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "value", None)
            if said in (*MODELS, *(model.__name__ for model in MODELS.values())):
                wrong.append(f"{where}:{node.lineno} {said}")
    assert not wrong
