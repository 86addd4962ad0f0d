"""Small models of every kind, and batches of real and random text for them."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok import config as C
from lexitok.data.batch import Batch, pack_rows
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import Piece, make_piece
from lexitok.models import MODELS

KINDS = ("bytes", "hat_v1", "hat_v2")
TEXT = "Pack my box, with Größe 🌝 and 12 jugs… 世界 naïve\n\tdef f(x): return x".encode()


def small_config(kind: str) -> ConfigDict:
    """The default tree, shrunk, for one of `KINDS`."""
    c = C.default_config()
    c.text.max_unit_bytes = 12
    backbone = C.transformer(D=16, L=2, H=2, K=1, N=8, F=24)
    if kind == "bytes":
        c.text.kind = "bytes"
        c.model = C.token_lm()
        c.model.backbone = backbone
        return c
    m = c.model
    m.backbone = backbone
    m.encoder = C.local(D=12, L=2, H=2, K=2, N=6, F=16, window=13)
    m.decoder = C.local(D=12, L=2, H=2, K=2, N=6, F=16, window=13, final_norm="rms")
    if kind == "hat_v1":
        c.text.boundary = "end_symbol"
        m.pool, m.unpool = "slot", "prefix"
        m.encoder.scope = m.decoder.scope = "unit"
    else:
        m.backbone.final_norm = "none"
    return c


def small_model(kind: str):
    """A model of random parameters for the alphabet `appended`."""
    c = small_config(kind)
    model = MODELS[c.model.kind](FrozenConfigDict(c.model), 260, dtype=jnp.float32, rngs=nnx.Rngs(0))
    model.interface.head = nnx.Param(model.interface.head[...] * 10)  # so that predictions differ
    return model


def pieces(kind: str, *texts: bytes) -> list[Piece]:
    """Each text as one piece."""
    encoder = make_encoder(small_config(kind).text)
    documents = [encoder.encode(text) for text in texts]
    return [make_piece(d, 0, len(d)) for d in documents]


def batch(kind: str, *rows: list[Piece], symbols: int = 128, units: int = 64) -> Batch:
    """Rows of pieces as JAX arrays."""
    packed = pack_rows(rows, symbols=symbols, units=None if kind == "bytes" else units, pad=259)
    return jax.tree.map(jnp.asarray, packed)


def random_texts(seed: int, n: int) -> list[bytes]:
    """Slices of `TEXT` at character boundaries, and a few of random bytes."""
    rng = np.random.default_rng(seed)
    text = TEXT.decode()
    cuts = [sorted(rng.integers(0, len(text), 2)) for _ in range(n)]
    return [text[a : b + 1].encode() if i % 3 else rng.bytes(20) for i, (a, b) in enumerate(cuts)]
