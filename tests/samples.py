"""Small models of every kind, from the config files, and batches of real and random text for them."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from lexitok import config as C
from lexitok.config.files import load_config
from lexitok.data.batch import Batch, Tokens
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.data.layout import Piece, make_piece
from lexitok.data.rows import pack_rows
from lexitok.made import is_made, with_made
from lexitok.models.build import model_for
from lexitok.parameter_names import leaf_name, map_with_name
from lexitok.text.vocabulary import Encoding, Tokenizer, Vocabulary

CONFIGS = Path(__file__).parents[1] / "configs"
LONGEST = 12  # bytes of a unit
FAMILY = {  # every way in which byte-unit models differ
    "hat_v1": "hat_v1",
    "hat_v2": "hat_v2",
    "hat_v2_end_symbol": "hat_v2:end_symbol",
    "hat_v2_fused": "hat_v2:fused",
    "hat_v2_revealed": "hat_v2:revealed",
    "learn_your_tokens": "learn_your_tokens",
    "spacebyte": "spacebyte",
    "blt": "blt",
    "blt_space": "blt:space",
    "aunet": "aunet",
    "aunet_three": "aunet:three",
    "hnet": "hnet",
    "hnet_two": "hnet:two",
    "bolmo": "bolmo",
}
KINDS = ("bytes", *FAMILY)
# What these have is in others too: levels, a rule of units with another model, a model with another rule.
IN_OTHERS = ("hat_v2_end_symbol", "hat_v2_fused", "hat_v2_revealed", "spacebyte", "blt_space", "aunet", "hnet_two")
TEXT = "Pack my box, with Größe 🌝 and 12 jugs… 世界 naïve\n\tdef f(x): return x".encode()


def slow_if(condition, values):
    """The values as parameters of a test, those that fulfil the condition for `make test-slow` alone."""
    return [pytest.param(value, marks=pytest.mark.slow) if condition(value) else value for value in values]


def slow(*cases):
    """Cases of several parameters, for `make test-slow` alone."""
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


EVERY = slow_if(IN_OTHERS.__contains__, KINDS)


class Greedy:
    """A tokenizer that takes the longest token of its vocabulary, one after the other."""

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        self._ids = {token: i for i, token in enumerate(vocabulary.token_bytes) if token}
        self._sizes = sorted({len(token) for token in self._ids}, reverse=True)

    def encode(self, data: bytes) -> Encoding:
        ids, at = [], 0
        while at < len(data):
            size = next(n for n in self._sizes if data[at : at + n] in self._ids and at + n <= len(data))
            ids.append(self._ids[data[at : at + size]])
            at += size
        ids = np.array(ids, np.int32)
        return Encoding(ids, self.vocabulary.lengths[ids], lossy=False)

    def to_bytes(self) -> bytes:
        return type(self).__name__.lower().encode()


class Pairs(Greedy):
    """A token for each byte and for a few longer strings."""

    def __init__(self):
        longer = (b"the ", b" a", b"in", b"er", b"\n\n", "ö".encode(), "世界".encode(), b"123", b"ack", b" box")
        tokens = (b"", b"", b"", *(bytes([b]) for b in range(256)), *longer)
        super().__init__(Vocabulary(tokens, frozenset((0, 1, 2)), bos=0, eot=1, pad=2))


def small_config(kind: str) -> ConfigDict:
    """The tree of one of `KINDS`, shrunk."""
    if kind == "bytes":
        c = C.default_config()
        c.text.kind = "bytes"
        c.model = C.token_lm()
        c.model.backbone = C.transformer(D=16, L=2, H=2, K=1, N=8, F=24)
        return c
    name, _, variant = FAMILY[kind].partition(":")
    c = load_config(f"{CONFIGS / name}.py:{variant}")
    c.text.max_unit_bytes = LONGEST
    c.data.symbols, c.data.units = 128, 64
    m = c.model
    m.embedding.ngram_rows = 64
    _shrink(m.stage, outer=True, opening=c.text.slots)
    return c


def _shrink(c: ConfigDict, *, outer: bool, opening: int = 1) -> None:
    D = 12 if outer else 16
    for stack in (c.encoder, c.decoder):
        _shrink_stack(stack, D)
        if stack.scope == "unit":
            stack.window = LONGEST + opening
    c.cross.H = 2
    c.router.capacity = 1.0  # no unit is passed over
    if c.router.kind == "entropy":
        c.router.longest = LONGEST
        c.router.lm.backbone.update(D=8, L=1, H=2, K=2, N=4, F=12, window=9)
    if c.backbone.kind == "stage":
        _shrink(c.backbone, outer=False)
    else:
        _shrink_stack(c.backbone, 16)
        c.backbone.update(L=2, K=2)


def _shrink_stack(c: ConfigDict, D: int) -> None:
    if c.kind == "chain":
        c.D = D
        for part in c.parts.values():
            _shrink_stack(part, D)
        return
    c.update(D=D, L=min(c.L, 2), H=2, K=2, N=D // 2, F=2 * D, window=7 if c.window else 0)
    if c.mixer == "mamba2":
        c.update(N=4, state=6)


@functools.cache
def small(kind: str):
    """A model of random parameters, and its encoder."""
    return made(small_config(kind))


def made(c: ConfigDict, tokenizer: Tokenizer | None = None):
    """The model of a config, with random parameters that make its predictions differ, and its encoder."""
    encoder = make_encoder(c.text, (tokenizer or Pairs()) if needs_tokenizer(c.text) else None)
    make = model_for(c, encoder)
    return with_made(filled(jax.eval_shape(make, nnx.Rngs(0))), make), encoder


def filled(like):
    """A model of these shapes, of random parameters.

    They are drawn here and not by the model: to compile its initialisation takes longer than the tests.
    """
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        name = jax.tree_util.keystr(path)
        if is_made(leaf_name(path)):
            return leaf
        if "threshold" in name:  # about a third of the positions are above it
            return jnp.asarray(5.12, leaf.dtype)
        values = rng.normal(size=leaf.shape) * (0.1 if ".scale" in name else 0.35)
        return jnp.asarray((values + 1.0 if ".scale" in name else values).astype(leaf.dtype))

    return jax.tree_util.tree_map_with_path(fill, like)


def map_parameters(function, model):
    """The model with every parameter replaced by `function(parameter)`; what is made is left as it is."""
    return map_with_name(lambda name, leaf: leaf if is_made(name) else function(leaf), model)


def small_model(kind: str):
    """The model of `small`."""
    return small(kind)[0]


def pieces(kind: str, *texts: bytes) -> list[Piece]:
    """Each text as one piece."""
    documents = [small(kind)[1].encode(text) for text in texts]
    return [make_piece(d, 0, len(d)) for d in documents]


def batch(kind: str, *rows: list[Piece], symbols: int = 128, units: int = 64) -> Batch:
    """Rows of pieces as JAX arrays."""
    packed = pack_rows(rows, symbols=symbols, units=None if kind == "bytes" else units, pad=259)
    return jax.tree.map(jnp.asarray, packed)


def batch_of_ids(ids_BxS: np.ndarray) -> Batch:
    """Rows of tokens for a token model, without targets to speak of."""
    B, S = ids_BxS.shape
    ones, positions = np.ones((B, S), np.int32), np.tile(np.arange(S, dtype=np.int32), (B, 1))
    tokens = Tokens(ids_BxS, ids_BxS, np.ones((B, S), np.float32), ones, ones, positions, None)
    return Batch(tokens, np.zeros(B, np.int32))


def random_texts(seed: int, n: int) -> list[bytes]:
    """Slices of `TEXT` at character boundaries, and a few of random bytes."""
    rng = np.random.default_rng(seed)
    text = TEXT.decode()
    cuts = [sorted(rng.integers(0, len(text), 2)) for _ in range(n)]
    return [text[a : b + 1].encode() if i % 3 else rng.bytes(20) for i, (a, b) in enumerate(cuts)]
