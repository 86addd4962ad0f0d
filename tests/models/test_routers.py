"""Routers: where they let units end, what they learn from, and what they leave alone."""

import functools
import itertools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok import config as C
from lexitok.data.batch import Units
from lexitok.models.routers import Boundaries, CosineRouter, DistilledRouter, EntropyRouter, StrideRouter
from lexitok.models.routers.cosine import ratio_loss
from lexitok.models.unpools import SmoothedUnpool, UnitView
from lexitok.ops.attention import Positions
from lexitok.sharding import ROWS, make_mesh

RNG = np.random.default_rng(0)
D = 6
THRESHOLD = 0.25  # which some of the entropies and rises below equal


def positions(*rows: list[int]) -> Positions:
    """Rows of pieces of these lengths, padded to the longest row."""
    S = max(map(sum, rows))
    segments, positions = np.zeros((len(rows), S), np.int32), np.zeros((len(rows), S), np.int32)
    for row, lengths in enumerate(rows):
        at = 0
        for number, n in enumerate(lengths, start=1):
            segments[row, at : at + n], positions[row, at : at + n] = number, np.arange(n)
            at += n
    return Positions(jnp.asarray(segments), jnp.asarray(positions))


ROWS_OF = positions([5, 4], [3, 2, 2], [9])
H = jnp.asarray(RNG.normal(size=(3, 9, D)), jnp.float32)


def cosine_router(**changes) -> CosineRouter:
    return CosineRouter(FrozenConfigDict(C.cosine_router(**changes)), D, rngs=nnx.Rngs(0))


def turned(router):
    """A router that has learned something."""
    for parameter in (router.queries, router.keys):
        parameter[...] += jnp.asarray(RNG.normal(size=(D, D)) * 0.3, jnp.float32)
    return router


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cosines(a, b):
    return (unit(np.asarray(a, np.float64)) * unit(np.asarray(b, np.float64))).sum(-1)


def boundaries_of(router, where: Positions = ROWS_OF, h: jax.Array = H, symbols=None) -> Boundaries:
    return jax.jit(lambda router, h: router(h, symbols, where))(router, h)


@pytest.mark.parametrize(("target", "expected"), [(3.0, 1.125), (6.0, 1.8)])
def test_ratio_loss_has_the_published_values(target, expected):
    """With half of all positions chosen, and half of the probability (reference/models.md 5.3)."""
    half = jnp.float32(0.5)
    assert float(ratio_loss(half, half, target)) == pytest.approx(expected, rel=1e-6)
    assert float(ratio_loss(jnp.float32(1 / target), jnp.float32(1 / target), target)) == pytest.approx(1.0)


def test_a_fresh_cosine_router_compares_neighbours():
    """Both maps start as the identity: `p` is half of one minus the cosine, and a unit ends where that is over 1/2."""
    found = boundaries_of(cosine_router())
    expected = (1 - cosines(H[:, :-1], H[:, 1:])) / 2
    first = np.asarray(ROWS_OF.positions_BxS) == 0  # padding too, which nobody asks about
    np.testing.assert_allclose(found.chance_BxS[:, 1:], np.where(first[:, 1:], 1.0, expected), atol=1e-6)
    np.testing.assert_array_equal(found.ends_BxS[:, 1:], first[:, 1:] | (expected > 0.5))
    assert found.ends_BxS[first].all() and (found.chance_BxS[first] == 1).all()
    np.testing.assert_allclose(found.confidence_BxS, np.maximum(found.chance_BxS, 1 - found.chance_BxS), atol=1e-6)


def test_a_vector_like_its_neighbour_or_of_no_length_ends_nothing_and_has_a_gradient():
    """A cosine has no gradient at zero, and padding is often all zeros: nothing may become NaN."""
    router, h = cosine_router(), jnp.zeros((1, 4, D)).at[:, :2].set(1.0)
    four = positions([4])
    assert boundaries_of(router, four, h).ends_BxS[0, :2].tolist() == [True, False]
    grads = jax.grad(lambda r: r(h, None, four).chance_BxS.sum())(router)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_the_ratio_loss_teaches_through_probabilities_alone():
    """The fraction of positions chosen is a number; only the mean probability has a gradient (H-Net, equation 10)."""
    router = turned(cosine_router(target=3.0, weight=1.0))
    found = boundaries_of(router)
    live = np.asarray(ROWS_OF.segments_BxS) > 0
    F = float(np.mean(np.asarray(found.ends_BxS)[live]))

    def mean_chance(router):
        return jnp.sum(jnp.where(live, router(H, None, ROWS_OF).chance_BxS, 0.0)) / float(live.sum())

    loss, grads = jax.jit(jax.value_and_grad(lambda r: r.loss(r(H, None, ROWS_OF), ROWS_OF)))(router)
    G, expected = jax.jit(jax.value_and_grad(mean_chance))(router)
    assert float(loss) == pytest.approx(1.5 * (2 * F * float(G) + (1 - F) * (1 - float(G))), rel=1e-5)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, 1.5 * (2 * F - (1 - F)) * b, atol=1e-6)


def test_predictions_teach_the_router_straight_through():
    """Confidence changes no guide, but has the gradient of a factor before it, which reaches both maps (H-Net, 2.2)."""
    stack = C.transformer(D=D)
    c = FrozenConfigDict({"encoder": stack, "decoder": stack, "backbone": stack, "narrow": "first"})
    unpool, router = SmoothedUnpool(c, rngs=nnx.Rngs(0)), turned(cosine_router())
    guides = jnp.asarray(RNG.normal(size=(3, 5, D)), jnp.float32)
    guide_BxS = jnp.asarray(np.sort(RNG.integers(0, 5, (3, 9))), jnp.int32)
    weights = jnp.asarray(RNG.normal(size=(3, 9, D)), jnp.float32)

    def output(router, sure: bool):
        confidence = router(H, None, ROWS_OF).confidence_BxS if sure else None
        view = UnitView(guide_BxS, guide_BxS, guide_BxS, confidence)
        return unpool(H, H, guides, view)[0]

    np.testing.assert_allclose(output(router, True), output(router, False), rtol=1e-6)
    grads = jax.grad(lambda r: jnp.sum(weights * output(r, True)))(router)
    taken = np.take_along_axis(np.asarray(guides), np.asarray(guide_BxS)[..., None], axis=1)
    by_chance = jnp.asarray((np.asarray(weights) * taken).sum(-1))
    expected = jax.grad(lambda r: jnp.sum(by_chance * r(H, None, ROWS_OF).confidence_BxS))(router)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        assert np.abs(a).max() > 1e-3
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_ratio_loss_is_that_of_the_global_batch():
    """On eight devices the fractions are over all rows: the mean of losses of rows is something else."""
    router = turned(cosine_router(target=3.0, weight=1.0))
    where = positions(*([n] for n in (2, 9, 4, 1, 7, 3, 5, 8)))
    h = jnp.asarray(RNG.normal(size=(8, 9, D)), jnp.float32)
    run = jax.jit(lambda router, h, where: router.loss(router(h, None, where), where))
    alone = run(router, h, where)
    by_row = [run(router, h[i : i + 1], jax.tree.map(lambda x, i=i: x[i : i + 1], where)) for i in range(8)]
    mesh = make_mesh(data=4, fsdp=2)
    with jax.set_mesh(mesh):
        split = jax.device_put((h, where), NamedSharding(mesh, ROWS))
        split = run(jax.device_put(router, NamedSharding(mesh, jax.P())), *split)
    assert float(split) == pytest.approx(float(alone), rel=1e-6)
    assert abs(np.mean(by_row) - float(alone)) > 1e-3


def test_a_stride_counts_from_the_start_of_the_piece():
    """Units are of so many positions, and the first is one of its own."""
    found = boundaries_of(StrideRouter(FrozenConfigDict(C.stride_router(stride=3)), D, rngs=nnx.Rngs(0)))
    assert found.ends_BxS[0].tolist() == [True, False, False, True, False, True, False, False, True]
    assert found.chance_BxS is None and found.confidence_BxS is None


def patch_lengths(entropies: list[float], threshold: float, rule: str, longest: int) -> list[int]:
    """BLT's patches (reference/models.md 5.2), told as in its code: starts of patches, then lengths, then cuts.

    The prediction behind position `t` has `entropies[t]`; a start may be the position behind the last.
    """
    n = len(entropies)
    starts = [0, 1]
    for t in range(2, n + 1):
        rise = entropies[t - 1] - entropies[t - 2]
        if (entropies[t - 1] > threshold) if rule == "global" else (t == 2 or rise > threshold):
            starts.append(t)
    lengths = [b - a for a, b in itertools.pairwise([*starts, n])]
    return [min(longest, n - done) for n in lengths for done in range(0, n, longest)]


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.lists(st.integers(1, 9), min_size=1, max_size=2).filter(lambda row: sum(row) <= 9), min_size=3, max_size=3
    ),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("rule", ["global", "relative"])
@pytest.mark.parametrize("longest", [2, 64])
def test_entropy_patches_are_those_of_blt(rule, longest, rows, seed):
    """The first two starts are forced, the comparison is strict, and long patches are cut from their left."""
    where = positions(*rows, [9])  # nine positions wide
    entropies = np.random.default_rng(seed).integers(0, 5, (4, 9)) / 4.0
    found = RULES[rule, longest](jnp.asarray(entropies, jnp.float32), where)
    for row, pieces in enumerate([*rows, [9]]):
        for start, n in zip(np.cumsum([0, *pieces]), pieces, strict=False):
            lengths = patch_lengths(entropies[row, start : start + n].tolist(), THRESHOLD, rule, longest)
            ends = np.cumsum(lengths) - 1
            found_ends = np.flatnonzero(found[row, start : start + n])
            # The last patch ends with the piece, whether anything says so or not.
            assert sorted({*found_ends.tolist(), n - 1}) == sorted({*ends.tolist(), n - 1})


def entropy_router(rule: str = "global", longest: int = 64) -> EntropyRouter:
    c = C.entropy_router(rule=rule, longest=longest, symbols=12)
    c.lm.backbone.update(D=8, L=1, H=2, K=2, N=4, F=8, window=5)
    return EntropyRouter(FrozenConfigDict(c), D, rngs=nnx.Rngs(0))


def by_rule(rule: str, longest: int):
    """A function: the ends at which a router sees these entropies."""
    router = entropy_router(rule, longest)

    router.frozen_threshold[...] = jnp.float32(THRESHOLD)

    @jax.jit
    def ends(router, entropies, where):
        with mock.patch.object(EntropyRouter, "entropies", lambda *_: entropies):
            return router(None, where.positions_BxS, where).ends_BxS

    return functools.partial(ends, router)


RULES = {(rule, longest): by_rule(rule, longest) for rule in ("global", "relative") for longest in (2, 64)}


def test_entropies_are_those_of_the_predictions():
    """Nats of the distribution of the symbol behind each position, as the small model makes it, documents apart."""
    router = entropy_router()
    router.frozen_lm.interface.head[...] *= 30.0
    symbols = jnp.asarray(RNG.integers(0, 12, (3, 9)), jnp.int32)
    seeds = jnp.zeros(3, jnp.int32)

    @jax.jit
    def run(router):
        lm = router.frozen_lm
        bound = lm.interface.bind(seeds)
        logits = bound.logits(lm.backbone(bound.embed(symbols, jnp.float32), ROWS_OF))
        grads = jax.grad(lambda router: router.entropies(symbols, ROWS_OF).sum())(router)
        return router.entropies(symbols, ROWS_OF), jax.nn.softmax(logits), grads

    found, p, grads = run(router)
    p = np.asarray(p, np.float64)
    np.testing.assert_allclose(found, -(p * np.log(p)).sum(-1), rtol=1e-4)
    assert np.std(found) > 0.05
    assert all((g == 0).all() for g in jax.tree.leaves(grads))


def test_the_distilled_router_learns_a_tokenizers_ends():
    """Cross-entropy to the ends that came with the text, over positions that have a next one; `bos` teaches nothing."""
    c = FrozenConfigDict(ConfigDict(C.distilled_router(weight=4.0)))
    router = turned(DistilledRouter(c, D, rngs=nnx.Rngs(0)))
    ends = RNG.integers(0, 2, (3, 9)).astype(bool)
    of = np.cumsum(ends, axis=1) - ends
    units = Units(*(jnp.asarray(x, jnp.int32) for x in (of, np.where(ends, of, of - 1), of, of)))
    loss, sums = jax.jit(lambda router: router.loss(H, units, ROWS_OF))(router)
    queries, keys = np.asarray(H) @ np.asarray(router.queries), np.asarray(H) @ np.asarray(router.keys)
    total = count = right = 0
    for row, pieces in enumerate(([5, 4], [3, 2, 2], [9])):
        for start, n in zip(np.cumsum([0, *pieces]), pieces, strict=False):
            for t in range(start + 1, start + n - 1):
                p = np.clip((1 - cosines(queries[row, t], keys[row, t + 1])) / 2, 1e-3, 1 - 1e-3)
                total -= np.log(p if ends[row, t] else 1 - p)
                count, right = count + 1, right + ((p > 0.5) == ends[row, t])
    assert float(loss) == pytest.approx(4 * total / count, rel=1e-5)
    assert (float(sums["router_seen"]), float(sums["router_right"])) == (count, right)
    assert 0 < right < count
