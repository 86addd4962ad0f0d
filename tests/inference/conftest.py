"""Small models of every kind that can be decoded, with their encoders."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok import config as C
from lexitok.data.batch import pack_rows
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import Document, make_piece
from lexitok.models import MODELS
from lexitok.text.vocabulary import Encoding, Vocabulary

LONGEST = 12
S = 128


class Pairs:
    """A tokenizer with a token for each byte and for a few longer strings, taken greedily."""

    def __init__(self):
        longer = (b"the ", b" a", b"in", b"er", b"\n\n", "ö".encode(), "世界".encode(), b"123")
        tokens = (b"", b"", b"", *(bytes([b]) for b in range(256)), *longer)
        self.vocabulary = Vocabulary(tokens, frozenset((0, 1, 2)), bos=0, eot=1, pad=2)
        self._ids = {token: i for i, token in enumerate(tokens) if token}

    def encode(self, data: bytes) -> Encoding:
        ids, at = [], 0
        while at < len(data):
            size = next(n for n in (6, 4, 3, 2, 1) if data[at : at + n] in self._ids and at + n <= len(data))
            ids.append(self._ids[data[at : at + size]])
            at += size
        ids = np.array(ids, np.int32)
        return Encoding(ids, self.vocabulary.lengths[ids], lossy=False)

    def to_bytes(self) -> bytes:
        return b"pairs"


def _stack(**changes) -> ConfigDict:
    return C.transformer(**{"D": 16, "L": 2, "H": 2, "K": 1, "N": 8, "F": 24, **changes})


def _local(**changes) -> ConfigDict:
    return C.local(**{"D": 12, "L": 2, "H": 2, "K": 2, "N": 6, "F": 16, "window": LONGEST + 1, **changes})


def _bytes(c: ConfigDict) -> None:
    c.text.kind = "bytes"
    c.model = C.token_lm()
    c.model.tied = "yes"
    c.model.backbone = _stack(
        L=3,
        layer_kinds=("local", "global"),
        window=5,
        qk_norm="rms",
        post_norms="rms",
        norm_scale="offset",
        softcap=9.0,
    )


def _subword(c: ConfigDict) -> None:
    """Local layers alone: the cache is a ring."""
    c.text.kind = "subword"
    c.model = C.token_lm()
    c.model.backbone = _stack(layer_kinds=("local",), window=7)


def _hat(c: ConfigDict) -> None:
    m = c.model
    m.backbone = _stack(final_norm="none")
    m.encoder = _local()
    m.decoder = _local(final_norm="rms")


def _hat_v1(c: ConfigDict) -> None:
    _hat(c)
    c.text.boundary = "end_symbol"
    c.model.pool, c.model.unpool = "slot", "prefix"
    c.model.encoder.scope = c.model.decoder.scope = "unit"


def _hat_v1_in_bytes(c: ConfigDict) -> None:
    _hat_v1(c)
    c.text.alphabet = "in_bytes"
    c.text.splitter = "whitespace"
    c.model.decoder.scope = "window"


def _hat_v2_variant(c: ConfigDict) -> None:
    """Several units are closed by one byte; the backbone has a window; positions as in the checkpoints."""
    _hat(c)
    c.text.digits = "right3"
    c.model.pool_positions = "published"
    c.model.backbone = _stack(L=3, layer_kinds=("local", "local", "global"), window=4)
    c.model.decoder = _local(window=5, layer_kinds=("local", "global"), final_norm="rms")


KINDS = {
    "bytes": _bytes,
    "subword": _subword,
    "hat_v1": _hat_v1,
    "hat_v1_in_bytes": _hat_v1_in_bytes,
    "hat_v2": _hat,
    "hat_v2_variant": _hat_v2_variant,
}


def small_config(kind: str) -> ConfigDict:
    c = C.default_config()
    c.text.max_unit_bytes = LONGEST
    KINDS[kind](c)
    return c


@functools.cache
def small(kind: str):
    """A model with random parameters, and its encoder."""
    c = small_config(kind)
    encoder = make_encoder(c.text, Pairs() if c.text.kind == "subword" else None)

    def make(rngs: nnx.Rngs):
        return MODELS[c.model.kind](FrozenConfigDict(c.model), encoder.vocabulary.size, dtype=jnp.float32, rngs=rngs)

    # Drawn here and not by the model: to compile its initialisation takes longer than the tests.
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        is_scale = ".scale" in jax.tree_util.keystr(path)
        values = rng.normal(size=leaf.shape) * (0.1 if is_scale else 0.35)
        return jnp.asarray(values + 1.0 if is_scale else values, leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, jax.eval_shape(make, nnx.Rngs(0))), encoder


@pytest.fixture(scope="session")
def make_small():
    """`make_small(kind) -> (model, encoder)`."""
    return small


forward = jax.jit(lambda model, batch: model.logits(batch))


def full_logits(model, encoder, symbols: list[int]) -> np.ndarray:
    """Logits `[n, V]` behind each of `n` symbols, the first of them `bos`, by the full forward pass."""
    if encoder.end_of_unit is None:
        document = encoder.encode(encoder.decode(symbols))
    else:  # the symbols say where units end
        read = np.array([*symbols[1:], encoder.vocabulary.eot], np.int32)
        ends = np.isin(read, (encoder.end_of_unit, encoder.vocabulary.eot))
        document = Document(read, np.ones_like(read), ends, np.cumsum(ends), "end_symbol", symbols[0])
    piece = make_piece(document, 0, len(document))
    assert piece.symbols.tolist() == symbols
    units = None if encoder.boundary == "none" else S
    batch = jax.tree.map(jnp.asarray, pack_rows([[piece]], symbols=S, units=units, pad=encoder.vocabulary.pad))
    return np.asarray(forward(model, batch))[0, : len(symbols)]


@pytest.fixture(scope="session", name="full_logits")
def _full_logits():
    return full_logits


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param
