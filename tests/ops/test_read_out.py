"""Every way to reduce logits is held to whole logits, and these to float64; no mesh changes a result."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import slow, slow_if

from lexitok.ops.read_out import Query, Reductions, blocked, read_out
from lexitok.sharding import ROWS, make_mesh

B, S, D, V, G = 8, 13, 16, 48, 5
RNG = np.random.default_rng(0)
QUERY = Query(
    targets_BxS=jnp.asarray(RNG.integers(0, V, (B, S)), jnp.int32),
    columns_BxSxC=jnp.asarray(RNG.integers(0, V, (B, S, 3)), jnp.int32),
    group_of_V=jnp.asarray(RNG.integers(0, G - 1, V), jnp.int32),  # the last group is empty
    groups=G,
    top_k=4,
    chunk=4,
)
H = jnp.asarray(RNG.normal(size=(B, S, D)), jnp.float32)
W = jnp.asarray(0.3 * RNG.normal(size=(V, D)), jnp.float32)
# What is differentiated: each part of the answer, at every position by another weight.
WEIGHTS = {
    name: float(w) for w, name in enumerate(("nll_BxS", "log_z_BxS", "top_BxSxk", "columns_BxSxC", "log_mass_BxSxG"), 1)
}


def answer(h, w, query=QUERY, softcap=0.0, implementation=None) -> Reductions:
    return read_out(h, w, query, softcap=softcap, implementation=implementation)


def loss(found: Reductions):
    at = jnp.arange(1.0, B * S + 1).reshape(B, S) / (B * S)
    total = 0.0
    for name, weight in WEIGHTS.items():
        part = getattr(found, name)
        part = part if part.ndim == 2 else jnp.sum(jnp.where(jnp.isfinite(part), part, 0.0), axis=-1)
        total += weight * jnp.sum(at * jnp.sin(part))
    return total


def assert_alike(a, b, atol=1e-4):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x, np.float64), np.asarray(y, np.float64), atol=atol, rtol=1e-5)


def test_whole_logits_equal_float64():
    """The definition is right: everything that can be asked, in numpy."""
    found = answer(H, W, implementation="reference")
    logits = np.asarray(H, np.float64) @ np.asarray(W, np.float64).T
    log_z = np.log(np.exp(logits).sum(-1))
    target = np.take_along_axis(logits, np.asarray(QUERY.targets_BxS)[..., None], -1)[..., 0]
    order = np.argsort(-logits, axis=-1, kind="stable")[..., :4]
    np.testing.assert_allclose(found.nll_BxS, log_z - target, atol=1e-5)
    np.testing.assert_allclose(found.log_z_BxS, log_z, atol=1e-5)
    np.testing.assert_array_equal(found.is_top_BxS, target == logits.max(-1))
    np.testing.assert_array_equal(found.top_ids_BxSxk, order)
    np.testing.assert_allclose(found.top_BxSxk, np.take_along_axis(logits, order, -1), atol=1e-5)
    np.testing.assert_allclose(
        found.columns_BxSxC, np.take_along_axis(logits, np.asarray(QUERY.columns_BxSxC), -1), atol=1e-5
    )
    mass = np.stack([np.exp(logits)[..., np.asarray(QUERY.group_of_V) == g].sum(-1) for g in range(G)], -1)
    np.testing.assert_allclose(np.exp(found.log_mass_BxSxG), mass / np.exp(log_z)[..., None], atol=1e-5)


@pytest.mark.parametrize(
    ("softcap", "chunk"), [(0.0, 4), (3.0, 13), *slow((3.0, 4), (0.0, 13), (0.0, 512), (3.0, 512))]
)
def test_chunks_change_nothing(softcap, chunk):
    """Neither an answer nor a gradient by either operand, whatever part of the answer it is of."""

    def run(implementation):
        def of(h, w):
            found = answer(h, w, dataclasses.replace(QUERY, chunk=chunk), softcap, implementation)
            return loss(found), found

        return jax.jit(jax.value_and_grad(of, argnums=(0, 1), has_aux=True))(H, W)

    assert_alike(run("chunked"), run("reference"))


@pytest.mark.parametrize(("softcap", "block"), [(3.0, 7), (0.0, 48), *slow((3.0, 48), (0.0, 7))])
def test_blocks_of_symbols_change_nothing(softcap, block):
    """The same for vectors that are made a few symbols at a time."""

    def of(h, w, whole):
        def vectors(ids):
            return jnp.broadcast_to(w[ids], (B, len(ids), D))

        found = (
            answer(h, w, softcap=softcap, implementation="reference")
            if whole
            else blocked.read_out(h, vectors, V, QUERY, block=block, softcap=softcap)
        )
        return loss(found), found

    run = jax.jit(jax.value_and_grad(of, argnums=(0, 1), has_aux=True), static_argnums=2)
    assert_alike(run(H, W, False), run(H, W, True))


@pytest.mark.parametrize(
    "mesh",
    slow_if(((8, 1, 1), (1, 8, 1), (4, 1, 2)).__contains__, [(8, 1, 1), (1, 8, 1), (2, 2, 2), (1, 1, 8), (4, 1, 2)]),
)
@pytest.mark.parametrize("symbols", [pytest.param(48, marks=pytest.mark.slow), 47])
def test_the_mesh_does_not_matter(mesh, symbols):
    """Rows, the table and the vocabulary are split, also where it does not divide; every answer and gradient stays."""
    w = W[:symbols]
    query = jax.tree.map(lambda x: jnp.minimum(x, symbols - 1), QUERY)
    query = dataclasses.replace(query, group_of_V=QUERY.group_of_V[:symbols])

    def of(h, w, query):
        found = answer(h, w, query, 3.0)
        return loss(found), found

    run = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)
    expected = jax.jit(run)(H, w, query)
    devices = make_mesh(*mesh)
    with jax.set_mesh(devices):
        h = jax.device_put(H, jax.NamedSharding(devices, ROWS))
        table = jax.device_put(w, jax.NamedSharding(devices, jax.P(None, "fsdp")))
        assert_alike(jax.jit(run)(h, table, query), expected)


def test_bfloat16_loses_no_more_than_its_operands():
    """Logits, their sums and the table's gradient are float32: over 2,048 positions nothing is lost in adding up."""
    h = jnp.asarray(RNG.normal(size=(1, 2048, D)), jnp.bfloat16)
    targets = jnp.asarray(RNG.integers(0, 4, (1, 2048)), jnp.int32)  # frequent ones

    def total(h, w):
        return read_out(h, w, Query(targets, chunk=64)).nll_BxS.sum()

    run = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
    value, (_, dw) = run(h, W)
    expected, (_, expected_dw) = run(h.astype(jnp.float32), W.astype(jnp.bfloat16).astype(jnp.float32))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert jnp.linalg.norm(dw - expected_dw) < 0.01 * jnp.linalg.norm(expected_dw)


def test_no_whole_logits_are_held():
    """What the op is for: no buffer of B*S*V floats in forward and backward pass together."""
    h, w = jax.ShapeDtypeStruct((1, 512, 8), jnp.float32), jax.ShapeDtypeStruct((4096, 8), jnp.float32)

    def total(h, w, targets):
        return read_out(h, w, Query(targets, chunk=16)).nll_BxS.sum()

    step = jax.jit(jax.grad(total, argnums=(0, 1)))
    memory = step.lower(h, w, jax.ShapeDtypeStruct((1, 512), jnp.int32)).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 512 * 4096 * 4 / 4


def test_what_is_not_asked_is_not_answered():
    """It costs nothing, either: without targets there is no gather, without groups no segment."""
    found = read_out(H, W, Query())
    assert [name for name, value in vars(found).items() if value is not None] == ["log_z_BxS"]


def test_unknown_implementation_is_named():
    """A typing error must not silently choose something else."""
    with pytest.raises(ValueError, match="'fused'.*reference, chunked"):
        answer(H, W, implementation="fused")
