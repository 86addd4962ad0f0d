"""What has to be true of every model, whatever its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import KINDS, TEXT, batch, pieces, random_texts, small_config, small_model

from lexitok.data.batch import Batch
from lexitok.interfaces import Table
from lexitok.models.build import model_maker


@pytest.fixture
def reach(monkeypatch):
    """A function: how much each input position moves each row-0 prediction, `[S out, B, S in]`."""

    def measure(model, rows: Batch) -> np.ndarray:
        embed = Table.embed

        def logits(delta):
            monkeypatch.setattr(Table, "embed", lambda self, *args: embed(self, *args) + delta)
            return jax.nn.log_softmax(model.logits(rows))[0, :, :3].sum(-1)

        width = model.interface.table.shape[1]
        zeros = jnp.zeros((*rows.symbols_BxS.shape, width))
        return np.abs(np.asarray(jax.jit(jax.jacrev(logits))(zeros))).sum(-1)

    return measure


@pytest.mark.parametrize("kind", KINDS)
def test_causality_by_gradient(kind, reach):
    """A prediction depends on no later byte, on no other document and on no other row; and it does see its own."""
    rows = batch(kind, pieces(kind, TEXT[:25], "né 世x".encode()), pieces(kind, TEXT), symbols=110, units=60)
    measured = reach(small_model(kind), rows)
    segments = np.asarray(rows.segments_BxS[0])
    used = np.flatnonzero(segments)
    assert (measured[:, 1] == 0).all(), "another row is seen"
    for t in used:
        seen = np.flatnonzero(measured[t, 0] > 0)
        assert (seen <= t).all(), f"position {t} sees {seen.max()}"
        # At a slot, HAT v1's decoder reads the guide in place of the symbol.
        assert t in seen or (kind == "hat_v1" and rows.symbols_BxS[0, t] >= 256)
        assert (segments[seen] == segments[t]).all(), f"position {t} sees another document"
        if kind == "bytes":
            assert len(seen) == (segments[: t + 1] == segments[t]).sum()


@pytest.mark.parametrize("kind", ["hat_v1", "hat_v2"])
def test_guides_carry_the_whole_past(kind, reach):
    """The backbone does reach the bytes: the first bytes of a document move its last prediction."""
    rows = batch(kind, pieces(kind, TEXT), symbols=110, units=60)
    last = int(rows.segments_BxS[0].sum()) - 1
    assert (reach(small_model(kind), rows)[last, 0, :5] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_packed_equals_unpacked(kind):
    """What stands beside a document in its row changes none of its predictions."""
    model = small_model(kind)
    texts = [t for t in random_texts(0, 6) if t]
    alone = batch(kind, *([p] for p in pieces(kind, *texts)), symbols=128)
    together = batch(kind, pieces(kind, *texts), symbols=384, units=256)
    scores = jax.jit(lambda b: model.scores(b, 64).nll_BxS)
    nll_alone, nll_together = scores(alone), scores(together)[0]
    expected = np.concatenate([row[: n.sum()] for row, n in zip(nll_alone, alone.segments_BxS, strict=True)])
    np.testing.assert_allclose(nll_together[: len(expected)], expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_sum_to_one_and_scores_are_theirs(kind):
    """Nats are those of a distribution over the whole alphabet."""
    model, rows = small_model(kind), batch(kind, pieces(kind, TEXT))
    logp = jax.nn.log_softmax(model.logits(rows))
    scores = model.scores(rows, chunk=32)
    np.testing.assert_allclose(jnp.exp(logp).sum(-1), 1.0, atol=1e-5)
    target = np.take_along_axis(np.asarray(logp), np.asarray(rows.targets_BxS)[..., None], -1)[..., 0]
    np.testing.assert_allclose(scores.nll_BxS, -target, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("hat_v1", ("text.boundary", "lagged"), "known only later"),
        ("hat_v1", ("model.unpool", "add"), "looks ahead in its unit"),
        ("hat_v2", ("model.decoder.scope", "unit"), "known only later"),
        ("hat_v1", ("text.max_unit_bytes", 40), "units are up to 41 symbols"),
        ("hat_v1", ("model.encoder.scope", "window"), "must not leave the unit"),
        ("hat_v2", ("text.kind", "bytes"), "needs text.kind byte_units"),
        ("hat_v2", ("model.pool", "max"), "'max'.*slot, latent_query"),
        ("hat_v2", ("model.decoder.D", 24), "one width"),
        ("bytes", ("model.interface", "hash"), "'hash'.*table"),
        ("bytes", ("model.kind", "rnn"), "'rnn'.*token_lm, byte_unit_lm"),
        ("bytes", ("model.compute_dtype", "float8"), "'float8'.*auto, float32"),
    ],
)
def test_parts_that_do_not_go_together_are_named(kind, change, message):
    """A combination that would compute nonsense fails when the model is made, and says why."""
    c = small_config(kind)
    key, value = change
    with c.ignore_type():
        c.update_from_flattened_dict({key: value})
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model_maker(c, 260)(nnx.Rngs(0)))


def test_a_byte_unit_model_refuses_batches_without_units():
    """A batch of the wrong encoder is named, not misread."""
    with pytest.raises(ValueError, match="byte_units"):
        small_model("hat_v2").logits(batch("bytes", pieces("bytes", b"abc")))
