"""What targets cost by position adds up, and is split by whether their symbol is new to the row."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import small

from lexitok.evals.positions import by_position, log_bins, perplexity_gap, seen_before
from lexitok.evals.text_rows import ProbeError, row_batches, stretches
from lexitok.models.extras import Extras
from lexitok.ops.read_out import Reductions

DOCUMENTS = [b"abcabcabc, " * 4, b"to and fro and to " * 3, b"short", b"xyzzy xyzzy xyzzy xyzzy", b"q" * 40]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Costs:
    """A model whose target at position `t` costs `t` nats, and 100 more where it is an `a`."""

    def read_out(self, batch, query=None):
        nll = batch.tokens.positions_BxS.astype(jnp.float32) + jnp.where(
            batch.tokens.targets_BxS == ord("a"), 100.0, 0.0
        )
        return Reductions(nll, nll, nll > 0.0), Extras(jnp.zeros(()), {})


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=3))
def test_seen_is_what_the_definition_says(rows):
    """The split is the point of the measure."""
    found = seen_before(np.array(rows))
    assert found.tolist() == [[x in row[:i] for i, x in enumerate(row)] for row in rows]


def test_every_target_is_counted_once_and_where_it_is():
    """Known costs must come back at their positions, whatever batch a row is in; padding rows must count nothing."""
    _, encoder = small("bytes")
    found = by_position(Costs(), encoder, DOCUMENTS, symbols=20, rows=3)
    assert found.rows == 4 and found.whole.targets.tolist() == [4.0] * 20 == found.whole.bytes.tolist()
    starts = np.stack([np.frombuffer(d[:20], np.uint8) for d in DOCUMENTS if len(d) >= 20])
    np.testing.assert_array_equal(found.whole.nats, 4 * np.arange(20) + 100 * (starts == ord("a")).sum(0))
    for field in ("nats", "targets", "bytes"):
        parts = getattr(found.seen, field) + getattr(found.unseen, field)
        np.testing.assert_array_equal(parts, getattr(found.whole, field))
    assert found.unseen.targets[0] == 4 and found.seen.targets[19] == 4
    assert np.isnan(found.seen.bits_per_symbol[0])
    np.testing.assert_allclose(found.whole.bits_per_symbol, found.whole.nats / 4 / np.log(2))


def test_costs_are_those_of_the_model():
    """The rows have to be what the model would read as the beginnings of documents."""
    model, encoder = small("bytes")
    found = by_position(model, encoder, DOCUMENTS[:1], symbols=16, rows=2)
    ((batch, filled),) = row_batches(stretches(encoder, DOCUMENTS[:1], 16).symbols, encoder.vocabulary, rows=2)
    assert filled == 1 and batch.tokens.symbols_BxS[0, 0] == encoder.vocabulary.bos
    assert bytes(batch.tokens.symbols_BxS[0, 1:].tolist()) == DOCUMENTS[0][:15]
    nll = jax.jit(lambda model, batch: model.read_out(batch)[0].nll_BxS)(model, jax.tree.map(jnp.asarray, batch))
    np.testing.assert_allclose(found.whole.nats, np.asarray(nll)[0], rtol=1e-5)


def test_bins_cover_every_position_once():
    """A sum over bins is the sum over positions."""
    for S in (1, 2, 7, 100, 513):
        edges = log_bins(S, 9)
        assert edges[0] == 0 and edges[-1] == S and (np.diff(edges) > 0).all()
    _, encoder = small("bytes")
    found = by_position(Costs(), encoder, DOCUMENTS, symbols=20, rows=4)
    binned = found.binned(log_bins(20, 4))
    assert binned.whole.nats.sum() == found.whole.nats.sum() and len(binned.whole.nats) <= 4
    assert binned.unseen.targets.sum() == found.unseen.targets.sum()


def test_the_gap_is_between_equal_texts():
    """The gap of a model to itself is none; between different symbols it means nothing."""
    _, encoder = small("bytes")
    a = by_position(Costs(), encoder, DOCUMENTS, symbols=20, rows=4).whole
    b = dataclasses.replace(a, nats=a.nats + 4 * np.log(3.0))
    gap = perplexity_gap(b, a)
    np.testing.assert_allclose(gap.ratio, 3.0)
    np.testing.assert_allclose(gap.difference, 2 * np.exp(a.nats_per_symbol))
    assert (perplexity_gap(a, a).ratio == 1).all()
    with pytest.raises(ProbeError, match="read the same symbols"):
        perplexity_gap(a, by_position(Costs(), encoder, DOCUMENTS[:2], symbols=20, rows=4).whole)


def test_stretches_follow_each_other():
    """A few long documents are text, too."""
    _, encoder = small("bytes")
    text = stretches(encoder, DOCUMENTS, 11, each=2)
    assert text.documents.tolist() == [0, 0, 1, 1, 3, 3, 4, 4]
    assert bytes(text.symbols[2:4].reshape(-1).tolist()) == DOCUMENTS[1][:22]


def test_what_cannot_be_probed_is_named():
    """An empty plot says nothing."""
    _, encoder = small("bytes")
    with pytest.raises(ProbeError, match=r"none of 5 documents has 60 symbols \(the longest has 54\)"):
        stretches(encoder, DOCUMENTS, 60)
    with pytest.raises(ProbeError, match="text.kind 'byte_units'"):
        stretches(small("hat_v2")[1], DOCUMENTS, 10)
