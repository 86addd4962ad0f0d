"""What has to be true of every model, whatever its parts."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import EVERY, KINDS, TEXT, Pairs, batch, pieces, slow_if, small, small_config, small_model

from lexitok.data.batch import Batch
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.interfaces import Table
from lexitok.models.build import model_for
from lexitok.ops.read_out import Query

B, S, W = 4, 48, 40
BYTES = ("lagged", "revealed", "model", "none")  # boundary rules under which a document's symbols are its bytes
BY_GRADIENT = slow_if(lambda kind: kind not in ("bytes", "hat_v2", "hnet"), KINDS)  # they take long
SCRIPTS = " ab,\n9Üß.世界🌝कि"
DIRECTION = np.random.default_rng(5).normal(size=(B, S, 16)).astype(np.float32)


def rows_of(kind: str, *rows: list[bytes]) -> Batch:
    """Rows of documents, in the one shape that a kind's model is compiled for; those that are left are empty."""
    packed = [pieces(kind, *row) if row else [] for row in rows]
    return batch(kind, *packed, *([] for _ in range(B - len(rows))), symbols=S, units=W)


@jax.jit
def _measured(model, rows: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """All that is asked of a kind, compiled once: log-probabilities, nats, and how much inputs move predictions."""
    plain = Table.vectors
    direction = jnp.asarray(DIRECTION[:, :, : model.interface.table.shape[1]])
    one = jnp.zeros((S + 1, B, S)).at[jnp.arange(S), 0, jnp.arange(S)].set(1.0).at[S, 1:].set(1.0)

    def predictions(delta):
        def vectors(self, *arguments):
            x = plain(self, *arguments)
            return x + delta if x.shape == delta.shape else x  # the model that an entropy router asks is narrower

        with mock.patch.object(Table, "vectors", vectors):
            features = model.features(rows)
        still = jax.lax.stop_gradient(features)  # the read-out has no forward mode
        with mock.patch.object(type(model), "_features", lambda self, bound, batch: features):
            log_p = jax.nn.log_softmax(model.logits(rows))
        with mock.patch.object(type(model), "_features", lambda self, bound, batch: still):
            return log_p, model.read_out(rows, Query(chunk=32))[0].nll_BxS

    def moved(which):
        zeros, change = jnp.zeros_like(direction), which[..., None] * direction
        log_p, change, nll = jax.jvp(predictions, (zeros,), (change,), has_aux=True)
        return log_p, nll, jnp.abs(change[0]).sum(-1)

    return jax.vmap(moved, out_axes=(None, None, 0))(one)


@functools.cache
def model_of(kind: str):
    """The small model; where it asks another one, with a threshold that a third of the entropies are above."""
    leaves, structure = jax.tree.flatten(small_model(kind))
    model = jax.tree.unflatten(structure, leaves)
    if kind == "blt":
        model.stage.router.frozen_threshold[...] = jnp.float32(5.12)
    return model


def measured(kind: str, rows: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities `[B, S, V]`; nats `[B, S]`; and how far a step of each position's vector in row 0 moves each
    prediction there, `[S + 1 in, S out]`, the last line being a step of all other rows."""
    return tuple(np.asarray(x) for x in _measured(model_of(kind), rows))


@functools.cache
def two_rows(kind: str):
    """Two documents in a row, a third beside them, and what is measured on them."""
    rows = rows_of(kind, [TEXT[4:13], "né 世x".encode()], [TEXT[:17]])
    return rows, *measured(kind, rows)


def is_slot(kind: str, rows: Batch) -> np.ndarray:
    """Where the decoder reads a guide in place of the symbol (of row 0)."""
    return (small(kind)[1].boundary == "end_symbol") & (np.asarray(rows.tokens.symbols_BxS[0]) >= 256)


@pytest.mark.parametrize("kind", BY_GRADIENT)
def test_causality_by_gradient(kind):
    """A prediction depends on no later byte, on no other document and on no other row; and it does see its own."""
    rows, _, _, reach = two_rows(kind)
    segments, slots = np.asarray(rows.tokens.segments_BxS[0]), is_slot(kind, rows)
    assert np.isfinite(reach).all()
    assert (reach[S] == 0).all(), "another row is seen"
    for t in np.flatnonzero(segments):
        seen = np.flatnonzero(reach[:S, t] > 0)
        assert (seen <= t).all(), f"position {t} sees {seen.max()}"
        assert t in seen or slots[t]
        assert (segments[seen] == segments[t]).all(), f"position {t} sees another document"
        if kind == "bytes":
            assert len(seen) == (segments[: t + 1] == segments[t]).sum()


@pytest.mark.parametrize("kind", BY_GRADIENT[1:])
def test_guides_carry_the_whole_past(kind):
    """The backbone does reach the bytes: the first bytes of a document move its last prediction."""
    rows, _, _, reach = two_rows(kind)
    first = np.flatnonzero((rows.tokens.segments_BxS[0] == 1) & (rows.tokens.symbols_BxS[0] < 256))
    assert (reach[first[:3], np.flatnonzero(rows.tokens.segments_BxS[0] == 1)[-1]] > 0).all()


@pytest.mark.parametrize("kind", BY_GRADIENT)
def test_probabilities_sum_to_one_and_scores_are_theirs(kind):
    """Nats are those of a distribution over the whole alphabet."""
    rows, log_p, nll, _ = two_rows(kind)
    np.testing.assert_allclose(np.exp(log_p.astype(np.float64)).sum(-1), 1.0, atol=2e-6)
    target = np.take_along_axis(log_p, np.asarray(rows.tokens.targets_BxS)[..., None], -1)[..., 0]
    np.testing.assert_allclose(nll, -target, atol=5e-5)


def text(longest: int) -> st.SearchStrategy[bytes]:
    """Of many scripts, or any bytes: at most so many."""
    words = st.text(SCRIPTS, min_size=1, max_size=longest).map(lambda s: s.encode()[:longest])
    return st.one_of(words, words, st.binary(min_size=1, max_size=longest))


@pytest.mark.parametrize("kind", EVERY)
@settings(max_examples=4, derandomize=True)  # so that no router's decision hangs on how a sum is rounded
@given(data=st.data())
def test_no_byte_changes_what_comes_before_it(kind, data):
    """Whatever stands behind a byte, in the other document of its row, or in front of that, its prediction is the same:
    with what splitters and routers decide. The last document also stands alone: packed = unpacked."""
    longest = 4 if small_config(kind).text.slots > 1 else 10  # what a row has room for, twice
    first, second, other, tail = (data.draw(text(longest), label=n) for n in ("first", "second", "other", "tail"))
    cut = data.draw(st.integers(0, len(second) - 1), label="cut")
    changed = (second[:cut] + tail)[:longest]
    assume(changed != second)
    rows = rows_of(kind, [first, second], [first, changed], [other, second], [second])
    log_p = measured(kind, rows)[0]
    whole, altered, beside, alone = (
        [log_p[row, rows.tokens.segments_BxS[row] == n] for n in range(1, int(rows.tokens.segments_BxS[row].max()) + 1)]
        for row in range(B)
    )
    np.testing.assert_allclose(altered[0], whole[0], atol=2e-5, err_msg="the document behind is seen")
    np.testing.assert_allclose(beside[1], whole[1], atol=2e-5, err_msg="the document in front is seen")
    np.testing.assert_allclose(alone[0], whole[1], atol=2e-5, err_msg="packing shows")
    symbols = [np.asarray(rows.tokens.symbols_BxS[row][rows.tokens.segments_BxS[row] == 2]) for row in (0, 1)]
    n = min(map(len, symbols))
    same = int(np.cumprod(symbols[0][:n] == symbols[1][:n]).sum())
    assert same > cut or small(kind)[1].boundary not in BYTES
    np.testing.assert_allclose(altered[1][:same], whole[1][:same], atol=2e-5, err_msg="what comes later is seen")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("hat_v1", {"text.boundary": "lagged"}, "under boundary 'lagged' a unit has no position that opens it"),
        ("hat_v2", {"model.stage.decoder.scope": "unit"}, "under boundary 'lagged'.*'latent_query', 'add', 'window'"),
        ("bolmo", {"model.stage.unpool": "prefix"}, "under boundary 'fused'"),
        ("hnet", {"model.stage.pool": "slot"}, "under boundary 'model'"),
        ("hat_v1", {"model.stage.unpool": "add"}, "looks ahead in its unit"),
        ("hat_v2", {"text.splitter": "model", "text.boundary": "revealed"}, "router 'given' and text.splitter"),
        ("hnet", {"text.splitter": "spacelike"}, "router 'cosine' and text.splitter do not go together"),
        ("bolmo", {"text.boundary": "end_symbol"}, "router 'distilled' learns from text.boundary 'fused'"),
        ("hat_v1", {"text.max_unit_bytes": 40}, "window is 13, but units are up to 41 symbols"),
        ("learn_your_tokens", {"text.slots": 2}, "slots is 4 and text.slots is 2"),
        ("learn_your_tokens", {"data.symbols": 16}, "data.symbols is 16, but units are up to 16 symbols"),
        ("hat_v1", {"model.stage.encoder.scope": "window"}, "must not leave the unit"),
        ("hat_v2", {"text.kind": "bytes"}, "needs text.kind byte_units"),
        ("bytes", {"text.kind": "byte_units"}, "needs text.kind subword or bytes"),
        ("hat_v2", {"model.stage.pool": "max"}, "unknown pool 'max'.*slot, latent_query"),
        ("hat_v2", {"model.stage.unpool": "sum"}, "unknown unpool 'sum'.*prefix, add"),
        ("hat_v2", {"model.stage.first": "ones"}, "unknown first 'ones'.*learned, zeros"),
        ("hat_v2", {"model.stage.pool_positions": "unit"}, "unknown pool_positions 'unit'.*offset, published"),
        ("hat_v2", {"model.stage.decoder.scope": "row"}, "unknown decoder.scope 'row'.*window, unit"),
        ("hat_v2", {"model.stage.unpool_weights": "all"}, "unknown unpool_weights 'all'.*needed, published"),
        ("hat_v2", {"model.stage.decoder.D": 24}, "one width"),
        ("hat_v2", {"model.stage.backbone.H": 5}, "5 heads of an even width"),
        ("hat_v2", {"text.slots": 2, "model.stage.slots": 2}, "only pool 'slot' with unpool 'prefix'"),
        ("blt", {"model.stage.router.rule": "local"}, "unknown entropy rule 'local'.*global, relative"),
        ("blt", {"model.stage.cross.H": 5}, "cross.H is 5"),
        ("blt", {"model.stage.router.kind": "random"}, "unknown router 'random'.*given, cosine, entropy"),
        ("hnet", {"model.stage.router.target": 1.0}, "target is 1.0 positions a unit"),
        ("hnet", {"model.stage.backbone.D": 8}, "widen 'learned' needs a backbone at least as wide"),
        ("aunet_three", {"model.stage.backbone.router.stride": 0}, "stride is 0"),
        ("spacebyte", {"model.stage.widen": "repeat"}, "unknown widen 'repeat'.*zeros, learned, project"),
        ("spacebyte", {"model.stage.narrow": "last"}, "unknown narrow 'last'.*first, project"),
        (
            "hat_v2_fused",
            {"model.interface.table_rows": 256},
            "interface.table_rows is 256, and 520 symbols cannot share them",
        ),
        ("bolmo", {"model.embedding.adds": "trigrams"}, "unknown embedding.adds 'trigrams'"),
        ("bytes", {"model.interface.kind": "hash"}, "'hash'.*table"),
        ("bytes", {"model.kind": "rnn"}, "'rnn'.*token_lm, byte_unit_lm"),
        ("bytes", {"model.compute_dtype": "float8"}, "'float8'.*auto, float32"),
    ],
)
def test_parts_that_do_not_go_together_are_named(kind, change, message):
    """A combination that would compute nonsense fails when the model is made, and says why."""
    c = small_config(kind)
    encoder = make_encoder(c.text, Pairs() if needs_tokenizer(c.text) else None)
    with c.ignore_type():
        c.update_from_flattened_dict(change)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model_for(c, encoder)(nnx.Rngs(0)))


@pytest.mark.parametrize("kind", EVERY[1:])
def test_a_byte_unit_model_refuses_batches_without_units(kind):
    """A batch of the wrong encoder is named, not misread."""
    with pytest.raises(ValueError, match="needs a batch with units.*byte_units"):
        small_model(kind).logits(batch("bytes", pieces("bytes", b"abc")))
