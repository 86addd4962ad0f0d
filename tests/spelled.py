"""A small base model and its tokenizer as files, other tokenizers, and hypernetworks of random parameters for them."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok import config as C
from lexitok.interfaces import make_interface
from lexitok.interfaces.hypernetwork import Hypernetwork
from lexitok.made import is_made
from lexitok.parameter_names import map_with_name
from lexitok.text.drawn.unigram import UnigramTokenizer

BYTES = [bytes([byte]) for byte in range(256)]
WORDS = (b"the", b" the", b"in", b"er", b" cat", b"at", b"123", b"12", "ö".encode())
D = 8


def tokenizer(*tokens: bytes, size: int | None = None) -> UnigramTokenizer:
    """All bytes and some longer tokens, of which the longest are the likeliest."""
    logs = np.array([-20.0] * 256 + [-1.0 - len(token) / 100 for token in tokens])
    return UnigramTokenizer([*BYTES, *tokens], logs, size=size)


SOURCE = tokenizer(*WORDS)
TARGET = tokenizer(b"the", b"inner", b"aa", b" cat", b"ing", size=268)  # with ids that are never used


def small_stack(**changes) -> ConfigDict:
    shape = {"D": 8, "L": 1, "H": 2, "K": 2, "N": 4, "F": 8, "feed_forward": "plain", "activation": "gelu"}
    return C.transformer(**(shape | changes))


def section(folder: Path | None, *, tied: str = "no", **changes) -> ConfigDict:
    """The section of a small hypernetwork whose source is `SOURCE`; None: that of the text."""
    path = ""
    if folder is not None:
        file = folder / "source.model"
        if not file.exists():
            file.write_bytes(SOURCE.to_bytes())
        path = str(file)
    given = {"vocabulary": path, "source": C.table(tied=tied), "stack": small_stack(), "parts": 6}
    return C.hypernetwork(**(given | changes))


def filled(tree, seed: int = 0):
    """The tree with random parameters; scales stay near 1, and what is made as it is."""
    rng = np.random.default_rng(seed)

    def fill(name: str, leaf):
        if is_made(name):
            return leaf
        values = rng.normal(size=leaf.shape) * (0.1 if "scale" in name else 0.35)
        return jnp.asarray(values + 1.0 if "scale" in name else values, leaf.dtype)

    return map_with_name(fill, tree)


def interface(c: ConfigDict, target: UnigramTokenizer) -> Hypernetwork:
    """As it is made, but for the base model's table."""
    vocabulary = target.vocabulary
    made = make_interface(FrozenConfigDict(c), vocabulary.size, D, nnx.Rngs(params=0), vocabulary)
    made.frozen_source = filled(made.frozen_source, seed=3)
    return made


@functools.cache
def tables_of():
    """The tables of an interface for a spelling, compiled."""
    return jax.jit(lambda interface, spelling: interface.tables(spelling))
