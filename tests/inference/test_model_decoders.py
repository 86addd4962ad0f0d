"""A third kind of model is a class, a line in `MODELS` and a line in `DECODERS`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import small_config

from lexitok.data.encoders import make_encoder
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.inference import model_decoders
from lexitok.inference.decoder import Decoder
from lexitok.inference.generate import generate
from lexitok.interfaces import make_interface
from lexitok.models import MODELS
from lexitok.models.build import model_for
from lexitok.models.extras import Extras, of_batch

TEXT = b"to be, or not to be"


class Bigrams(nnx.Module):
    """The next symbol from the last one alone."""

    kinds_of_text = ("bytes",)
    needs = ()

    @staticmethod
    def check(config):
        if config.model.D < 1:
            raise ValueError("model.D is too small")

    def __init__(self, c, V, *, dtype, rngs):
        self.dtype = dtype
        self.interface = make_interface(c.interface, V, c.D, rngs)

    def features(self, batch):
        return {"hidden": self.interface.bind(batch.seeds_B).embed(batch.tokens.symbols_BxS, self.dtype)}

    def read_out(self, batch, query=None):
        bound, hidden = self.interface.bind(batch.seeds_B), self.features(batch)["hidden"]
        return bound.read_out(hidden, of_batch(query, batch)), Extras(jnp.zeros((), jnp.float32), {})


class BigramDecoder:
    """It keeps nothing but the number of symbols."""

    @staticmethod
    def check(model, encoder):
        return None

    @staticmethod
    def longest_unit(model, encoder):
        return 1

    @staticmethod
    def routes(model):
        return False

    @staticmethod
    def empty(model, rows, symbols, longest, chunk):
        return jnp.zeros(rows, jnp.int32)

    @staticmethod
    def extend(model, state, reads, closes, longest, bound):
        hidden = bound.embed(jnp.maximum(reads.symbols_BxT, 0), model.dtype)
        return state + (reads.positions_BxT >= 0).sum(1, dtype=jnp.int32), hidden


@pytest.fixture
def bigrams(monkeypatch):
    """The whole tree of settings of a small one, its encoder, and the model."""
    monkeypatch.setitem(MODELS, "bigrams", Bigrams)
    monkeypatch.setitem(model_decoders.DECODERS, Bigrams, BigramDecoder)
    c = _config()
    encoder = make_encoder(c.text)
    return c, encoder, model_for(c, encoder)(nnx.Rngs(0))


def _config():
    c = small_config("hat_v2")
    c.text.kind = "bytes"
    interface = c.model.interface
    with c.unlocked():
        c.model = {"kind": "bigrams", "compute_dtype": "float32", "D": 16, "interface": interface}
    return c


def test_it_trains_and_decodes(bigrams):
    """A new model must not need a change in any other module; text that it was trained on must be what it writes."""
    _, encoder, model = bigrams
    document = encoder.encode(b"abcabcabcabc")
    piece = make_piece(document, 0, len(document))
    batch = jax.tree.map(jnp.asarray, pack_rows([[piece]], symbols=16, units=None, pad=encoder.vocabulary.pad))
    weights = batch.tokens.weights_BxS

    @jax.jit
    def step(model):
        def loss(model):
            return (model.read_out(batch)[0].nll_BxS * weights).sum()

        value, gradient = jax.value_and_grad(loss)(model)
        return jax.tree.map(lambda w, g: w - 0.1 * g, model, gradient), value

    losses = []
    for _ in range(60):
        model, value = step(model)
        losses.append(float(value))
    assert losses[-1] < losses[0] / 4
    assert generate(model, encoder, [b"ab"], max_bytes=4, temperature=0.0) == [b"cabc"]


def test_its_rows_can_be_taken(bigrams):
    """Where the rows are in a state is found out, for any kind of state."""
    _, encoder, model = bigrams
    decoder = Decoder(model, encoder, 2, 64)
    decoder.read([[encoder.vocabulary.bos, *TEXT], [encoder.vocabulary.bos]])
    taken = decoder.take([1, 0, 1])
    assert np.asarray(taken._state.held).tolist() == [1, 1 + len(TEXT), 1]


def test_what_the_class_says_is_asked(bigrams):
    """A wrong kind of text, and settings that do not go together, must be refused in the same way for every model."""
    c, encoder, _ = bigrams
    c.text.kind = "subword"
    with pytest.raises(ValueError, match="model.kind 'bigrams' needs text.kind bytes, not 'subword'"):
        model_for(c, encoder)
    c.text.kind, c.model.D = "bytes", 0
    with pytest.raises(ValueError, match="model.D is too small"):
        model_for(c, encoder)


def test_a_model_without_a_decoder(bigrams, monkeypatch):
    """A model that nobody wrote a decoder for must be named, with what there is."""
    _, encoder, model = bigrams
    monkeypatch.delitem(model_decoders.DECODERS, Bigrams)
    with pytest.raises(ValueError, match="a Bigrams cannot be decoded; model_decoders.DECODERS has TokenLM, ByteUnit"):
        Decoder(model, encoder, 1, 10)
