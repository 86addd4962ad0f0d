"""Symbols behind those of an interface: read like others, predicted by one softmax, if they are used."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lexitok import config as C
from lexitok.interfaces import make_interface
from lexitok.interfaces.extended import Extended, ExtraRows
from lexitok.ops.read_out import Query
from lexitok.sharding import make_mesh, put_rows, put_whole, replicated

V, M, D, B, S = 30, 7, 8, 8, 5
RNG = np.random.default_rng(0)
H = RNG.normal(size=(B, S, D)).astype(np.float32)
IN, OUT = (RNG.normal(size=(V + M, D)).astype(np.float32) for _ in range(2))
SEEDS = np.zeros(B, np.int32)


def interface(kind="table", softcap=2.0, size=V):
    section = {"table": C.table, "lexinvariant": C.lexinvariant}[kind]()
    section.softcap = softcap
    if kind == "table":
        section.tied, section.embed_scale = "no", 1.0
    made = make_interface(section, size, D, nnx.Rngs(params=0))
    if kind == "table":
        made.table.set_value(jnp.asarray(IN[:size]))
        made.head.set_value(jnp.asarray(OUT[:size]))
    return made


def extra(count=M, order=None):
    order = np.arange(M) if order is None else order
    return ExtraRows(IN[V:][order], OUT[V:][order], np.asarray(count, np.int32))


def query(size):
    rng = np.random.default_rng(1)
    ids = rng.integers(0, size, (B, S, 4)).astype(np.int32)
    groups = rng.integers(0, 3, V + M)[:size].astype(np.int32)
    return Query(ids[..., 0], ids[..., 1:], groups, groups=3, top_k=4, chunk=2)


@jax.jit
def answers(interface, rows, h, symbols, query):
    bound = interface.bind(jnp.zeros(len(h), jnp.int32), rows)
    return bound.embed(symbols, jnp.float32), bound.logits(h), bound.read_out(h, query)


def check(found, expected, atol=1e-5):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def test_it_is_a_table_with_more_rows():
    """All that can be asked, of symbols of either part, and gradients; whether rows are held or come with the batch."""
    asked, symbols = query(V + M), query(V + M).targets_BxS
    expected = answers(interface(size=V + M), None, H, symbols, asked)
    longer = Extended(interface(), "enter_and_leave", extra())
    assert longer.vocabulary_size == V + M
    check(answers(longer, None, H, symbols, asked), expected)
    check(answers(Extended(interface(), "enter_and_leave"), extra(), H, symbols, asked), expected)

    @jax.jit
    @jax.grad
    def gradient(h, interface, asked):
        return jnp.sum(interface.bind(jnp.zeros(B, jnp.int32)).read_out(h, asked).nll_BxS)

    asked = Query(symbols, chunk=S)
    found, wanted = (gradient(jnp.asarray(H), each, asked) for each in (longer, interface(size=V + M)))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("reach", ["enter", "enter_and_leave"])
def test_without_symbols_that_are_used_it_is_the_interface_itself(reach):
    """To the last bit, with room for some or without; what is not used has no probability, and enters as NaN."""
    asked, symbols = query(V), query(V).targets_BxS
    plain = interface()
    expected = answers(plain, None, H, symbols, asked)
    check(answers(Extended(plain, reach), None, H, symbols, asked), expected, atol=0)
    longer = query(V + M) if reach == "enter_and_leave" else asked
    asked = dataclasses.replace(asked, group_of_V=longer.group_of_V)
    embedded, logits, found = answers(Extended(plain, reach), extra(0), H, symbols, asked)
    check((embedded, logits[..., :V], found), expected, atol=0)
    assert np.isneginf(logits[..., V:]).all()
    embedded, _, _ = answers(
        Extended(plain, reach), extra(2), H, symbols * 0 + V + np.arange(S)[None].astype(np.int32), asked
    )
    assert np.isfinite(embedded[:, :2]).all() and np.isnan(embedded[:, 2:]).all()


def test_what_only_enters_changes_no_prediction_of_others():
    """The hidden vector is all that predictions see."""
    symbols = query(V + M).targets_BxS
    embedded, logits, found = answers(Extended(interface(), "enter"), extra(), H, symbols, query(V))
    check((logits, found), answers(interface(), None, H, symbols * 0, query(V))[1:])
    np.testing.assert_array_equal(embedded, IN[symbols])
    assert Extended(interface(), "enter", extra()).vocabulary_size == V


def test_the_order_of_extra_symbols_means_nothing():
    """Rows in another order are the same symbols by other ids."""
    order = np.random.default_rng(2).permutation(M)
    place = np.concatenate([np.arange(V), V + np.argsort(order)]).astype(np.int32)
    asked, symbols = Query(query(V + M).targets_BxS), query(V + M).targets_BxS
    longer = Extended(interface(), "enter_and_leave")
    embedded, logits, found = answers(longer, extra(), H, symbols, asked)
    other = answers(longer, extra(order=order), H, place[symbols], Query(place[symbols]))
    check((other[0], other[1][..., place], other[2].nll_BxS), (embedded, logits, found.nll_BxS))


def test_rows_of_each_rows_own_can_be_extended():
    """Any interface can, and half precision too."""
    targets, longer = query(V + 3).targets_BxS, Extended(interface("lexinvariant"), "enter_and_leave")
    embedded, logits, found = answers(longer, extra(3), jnp.asarray(H, jnp.bfloat16), targets, Query(targets, chunk=S))
    expected = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(found.nll_BxS, expected, atol=1e-4)
    assert logits.dtype == jnp.float32 and np.isfinite(embedded).all()


def test_no_mesh_changes_a_result():
    """Rows of a batch are split, and the vocabulary; extra rows are whole everywhere."""
    asked, symbols = Query(query(V + M).targets_BxS, top_k=2, chunk=S), query(V + M).targets_BxS
    longer = Extended(interface(), "enter_and_leave")
    expected = answers(longer, extra(5), H, symbols, asked)
    with jax.set_mesh(make_mesh(data=2, fsdp=2, tensor=2)):
        on_all = jax.device_put(longer, replicated())
        found = answers(on_all, put_whole(extra(5)), put_rows(H), put_rows(symbols), put_rows(asked))
    check(found, expected)


def test_what_cannot_be_extended_is_refused():
    """By name."""
    with pytest.raises(ValueError, match="unknown reach 'leave' of extra symbols; there are enter, enter_and_leave"):
        Extended(interface(), "leave")
    with pytest.raises(TypeError, match="reads ExtraRows, and the batch has a int"):
        Extended(interface(), "enter").bind(jnp.asarray(SEEDS), 3)
