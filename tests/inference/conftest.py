"""Small models of every kind that can be decoded, with their encoders."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from samples import FAMILY, made, slow_if, small_config

from lexitok import config as C
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.text.boundaries import SymbolStream

ROWS = 4  # of every batch here: each shape is compiled once
S = 128


def _stack(**changes) -> ConfigDict:
    return C.transformer(**{"D": 16, "L": 2, "H": 2, "K": 1, "N": 8, "F": 24, **changes})


def _bytes(c: ConfigDict) -> None:
    c.text.kind = "bytes"
    c.model = C.token_lm()
    c.model.interface.tied = "yes"
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


def _hat_v1_in_bytes(c: ConfigDict) -> None:
    c.text.alphabet = "in_bytes"
    c.model.stage.decoder.scope = "window"


def _hat_v2_variant(c: ConfigDict) -> None:
    """Several units are closed by one byte; the backbone has a window; positions as in the checkpoints."""
    c.text.digits = "right3"
    s = c.model.stage
    s.pool_positions = "published"
    s.backbone.update(layer_kinds=("local", "global"), window=4)
    s.decoder.update(window=5)


def _mean_of_entropies(c: ConfigDict) -> None:
    """A pool and a rule that no published model has together."""
    c.model.stage.update(pool="mean", widen="zeros", unpool="latest", narrow="project")
    c.model.stage.router.rule = "relative"
    c.model.embedding.adds = "nothing"


def _lexinvariant(c: ConfigDict) -> None:
    """Every row has vectors of its own."""
    c.model.interface = C.lexinvariant()


def _glyphs(c: ConfigDict) -> None:
    """What symbols enter with is drawn, and no parameter."""
    c.text.kind = "subword"
    c.model.interface = C.glyphs(distinct="told_apart")


def _hat_v2_of_codes(c: ConfigDict) -> None:
    c.model.interface = C.binary(recoding="affine", lift="plus_minus")


MORE = {
    "bytes": (_bytes, "bytes"),
    "subword": (_subword, "bytes"),
    "hat_v1_in_bytes": (_hat_v1_in_bytes, "hat_v1"),
    "hat_v2_variant": (_hat_v2_variant, "hat_v2"),
    "lexinvariant": (_lexinvariant, "bytes"),
    "glyphs": (_glyphs, "bytes"),
    "hat_v2_of_codes": (_hat_v2_of_codes, "hat_v2"),
    "mean_of_entropies": (_mean_of_entropies, "blt"),
}
KINDS = (*FAMILY, *MORE)
FEW = (
    "bytes",
    "subword",
    "hat_v1",
    "hat_v2",
    "learn_your_tokens",
    "blt",
    "hnet_two",
    "bolmo",
)  # one of every kind of state


@functools.cache
def small(kind: str):
    """A model with random parameters, and its encoder."""
    change, base = MORE.get(kind, (None, kind))
    c = small_config(base)
    if change is not None:
        change(c)
    return made(c)


@pytest.fixture(scope="session")
def make_small():
    """`make_small(kind) -> (model, encoder)`."""
    return small


forward = jax.jit(lambda model, batch: model.logits(batch))


def full_logits(model, encoder, rows: list[list[int]]) -> list[np.ndarray]:
    """Logits `[n, V]` behind each of `n` symbols of each row, the first of them `bos`, by the full forward pass."""
    documents = [document_of(encoder, symbols) for symbols in rows]
    pieces = [make_piece(document, 0, len(document)) for document in documents]
    units = None if encoder.boundary == "none" else S
    packed = [[piece] for piece in pieces] + [[]] * (ROWS - len(rows))
    batch = pack_rows(packed, symbols=S, units=units, pad=encoder.vocabulary.pad)
    logits = np.asarray(forward(model, jax.tree.map(jnp.asarray, batch)))
    found = []
    for document, piece, symbols, row in zip(documents, pieces, rows, logits, strict=False):
        read = np.append(True, document.predicted[:-1])
        assert piece.symbols[read].tolist() == symbols
        last_slot = np.append(read[1:], True)  # where several slots open a unit, it is the last that predicts
        found.append(row[: len(read)][last_slot])
    return found


def document_of(encoder, symbols: list[int]) -> SymbolStream:
    """The document that begins with these symbols; where they say themselves how text is split, as they say."""
    vocabulary = encoder.vocabulary
    if encoder.boundary == "fused":
        stream = np.array([*symbols[1:], vocabulary.eot], np.int32)
        ends = (stream >= encoder.alphabet.fused) | (stream == vocabulary.eot)
        return _document(stream, ends, "fused", symbols[0])
    if encoder.boundary == "end_symbol":
        more = [encoder.rule.end_of_unit] * (encoder.slots - 1)
        stream, ends, predicted = [*more], [False] * len(more), [False] * len(more)
        for symbol in symbols[1:]:
            closes = symbol == encoder.rule.end_of_unit
            stream += [symbol, *more] if closes else [symbol]
            ends += [closes, *(False for _ in more)] if closes else [False]
            predicted += [True, *(False for _ in more)] if closes else [True]
        stream, ends, predicted = [*stream, vocabulary.eot], [*ends, True], [*predicted, True]
        return _document(np.array(stream, np.int32), np.array(ends), "end_symbol", symbols[0], np.array(predicted))
    return encoder.encode(encoder.decode(symbols))


def _document(stream, ends, boundary, bos, predicted=None) -> SymbolStream:
    predicted = np.ones(len(stream), bool) if predicted is None else predicted
    return SymbolStream(stream, np.ones_like(stream), ends, np.cumsum(ends, dtype=np.int32), predicted, boundary, bos)


@pytest.fixture(scope="session", name="full_logits")
def _full_logits():
    return full_logits


# One of each kind of state that the others do not have.
@pytest.fixture(params=slow_if(lambda kind: kind not in ("bytes", "hat_v2", "blt", "hnet", "bolmo"), KINDS))
def kind(request):
    return request.param


@pytest.fixture(params=slow_if(lambda kind: kind not in ("hat_v2", "bolmo"), FEW))
def few(request):
    return request.param
