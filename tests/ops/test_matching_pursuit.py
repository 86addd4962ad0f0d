"""Pursuits are held to one in float64, to what is known of sparse and full combinations, and to their own promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import slow_if

from lexitok.ops.matching_pursuit import IMPLEMENTATIONS, SELECT, MatchingPursuitError, matching_pursuit
from lexitok.ops.matching_pursuit.api import _pursue
from lexitok.ops.matching_pursuit.largest import largest_products
from lexitok.sharding import make_mesh

T, N, D, K = 6, 40, 24, 5
MANY = 600  # atoms, of which lists are made in parts and buckets


def table(seed: int, *shape: int, spread: float = 0.0) -> np.ndarray:
    """Gaussian rows, whose norms spread lognormally."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=shape) * np.exp(spread * rng.normal(size=(shape[0], 1)))
    return rows.astype(np.float32)


def in_float64(targets, atoms, k, select):
    """Atoms in their order and relative residuals, each step fitted anew by a least-squares solver."""
    targets, atoms = np.asarray(targets, np.float64), np.asarray(atoms, np.float64)
    norms = np.linalg.norm(atoms, axis=1)
    indices, residuals = [], []
    for target in targets:
        chosen, left = [], target
        for _ in range(k):
            q = np.linalg.qr(atoms[chosen].T)[0] if chosen else np.zeros((atoms.shape[1], 0))
            outside = np.linalg.norm(atoms - atoms @ q @ q.T, axis=1)
            product = np.abs(atoms @ left)
            score = {"gain": product / np.maximum(outside, 1e-9), "cosine": product / norms, "product": product}[select]
            score[chosen] = -1
            chosen.append(int(score.argmax()))
            fit = np.linalg.lstsq(atoms[chosen].T, target, rcond=None)[0]
            left = target - fit @ atoms[chosen]
        indices.append(chosen)
        residuals.append(np.linalg.norm(left) / np.linalg.norm(target))
    return np.array(indices), np.array(residuals)


def rebuilt(found, atoms):
    """The combinations, and what is left of targets by them, from indices and coefficients alone."""
    return np.einsum("TK,TKD->TD", found.coefficients_TxK, np.asarray(atoms, np.float32)[found.index_TxK])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("select", slow_if(("product",).__contains__, SELECT))
def test_every_selection_is_that_of_a_pursuit_in_float64(implementation, select):
    """The definition: the same atoms in the same order, and the residual of their least-squares fit.

    The list holds all atoms, and the rounds do not divide the places.
    """
    targets, atoms = table(0, T, D), table(1, N, D, spread=0.4)
    found = matching_pursuit(targets, atoms, K, select=select, implementation=implementation, rounds=2)
    index, residual = in_float64(targets, atoms, K, select)
    np.testing.assert_array_equal(found.index_TxK, index)
    np.testing.assert_allclose(found.residual_T, residual, rtol=1e-5)
    left = np.linalg.norm(targets - rebuilt(found, atoms), axis=1) / np.linalg.norm(targets, axis=1)
    np.testing.assert_allclose(found.residual_T, left, rtol=1e-5)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from(sorted(IMPLEMENTATIONS)), st.sampled_from([0.0, 1.0]))
def test_sparse_combinations_are_found(seed, implementation, spread):
    """Two orthogonal atoms among others that are far from both: every rule that looks at angles must find them, with
    their coefficients, and then stop."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(D, D)))[0]
    others = (basis[:, 2:] @ rng.normal(size=(D - 2, N))).T
    atoms = np.concatenate([basis[:, :2].T, others]) * np.exp(spread * rng.normal(size=(N + 2, 1)))
    true = np.zeros((T, N + 2))
    true[:, :2] = rng.uniform(0.5, 2, (T, 2)) * rng.choice([-1, 1], (T, 2))
    targets = (true @ atoms).astype(np.float32)
    found = matching_pursuit(
        targets, atoms.astype(np.float32), K, select="cosine", implementation=implementation, rounds=1
    )
    actual = np.zeros_like(true)
    np.add.at(actual, (np.arange(T)[:, None], np.asarray(found.index_TxK)), np.asarray(found.coefficients_TxK))
    np.testing.assert_allclose(actual, true, atol=1e-4)
    assert (found.residual_T < 1e-5).all()
    assert ((found.coefficients_TxK == 0).sum(axis=1) == K - 2).all()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("select", slow_if(("cosine", "product").__contains__, SELECT))
def test_all_atoms_give_the_least_squares_fit(implementation, select):
    """With as many places as atoms, the order cannot matter, and places beyond them stay empty."""
    targets, atoms = table(2, T, D), table(3, 12, D, spread=0.5)
    found = matching_pursuit(targets, atoms, 14, select=select, implementation=implementation, rounds=1)
    fit = np.linalg.lstsq(atoms.T.astype(np.float64), targets.T.astype(np.float64), rcond=None)[0].T
    actual = np.zeros_like(fit)
    np.add.at(actual, (np.arange(T)[:, None], np.asarray(found.index_TxK)), np.asarray(found.coefficients_TxK))
    np.testing.assert_allclose(actual, fit, rtol=1e-3, atol=1e-4)
    assert ((found.coefficients_TxK == 0).sum(axis=1) == 2).all()


@pytest.mark.parametrize("implementation", slow_if(("reference",).__contains__, IMPLEMENTATIONS))
def test_more_places_never_leave_more(implementation):
    """A greedy choice only adds, and coefficients are fitted anew; lists as short as a round's places at that."""
    targets, atoms = table(4, T, D), table(5, N, D, spread=0.3)
    options = {"implementation": implementation, "shortlist": 6, "rounds": 2}
    residuals = [np.asarray(matching_pursuit(targets, atoms, k, **options).residual_T) for k in (1, 12)]
    assert (np.diff(residuals, axis=0) <= 1e-6).all()
    assert (residuals[-1] < residuals[0]).all()


@pytest.mark.parametrize("implementation", slow_if(("reference",).__contains__, IMPLEMENTATIONS))
@pytest.mark.parametrize("batch", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_batch_is_its_targets_one_by_one(implementation, batch):
    """A target's combination depends on nothing else, in batches that do and do not divide the targets, nor the blocks
    in which lists of rows are held."""
    targets, atoms = table(6, 11, D), table(7, N, D)
    options = {"implementation": implementation, "shortlist": 8, "rounds": 2}
    together = matching_pursuit(targets, atoms, K, **options)
    apart = matching_pursuit(targets, atoms, K, batch=batch, **options)
    np.testing.assert_array_equal(apart.index_TxK, together.index_TxK)
    np.testing.assert_allclose(apart.coefficients_TxK, together.coefficients_TxK, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_normalised_atoms_find_what_others_miss():
    """Why `product` is not the default: where norms spread, long atoms are taken for near ones."""
    rng = np.random.default_rng(8)
    atoms = table(9, 200, 64, spread=0.5)
    support = np.stack([rng.choice(200, 3, replace=False) for _ in range(64)])
    targets = atoms[support].sum(axis=1)
    dense = table(10, 64, 64)
    share, left = {}, {}
    for select in SELECT:
        options = {"select": select, "implementation": "reference"}
        index = np.sort(matching_pursuit(targets, atoms, 3, **options).index_TxK, axis=1)
        share[select] = (index == np.sort(support, axis=1)).all(axis=1).mean()
        left[select] = float(matching_pursuit(dense, atoms, 8, **options).residual_T.mean())
    assert share["product"] + 0.3 < share["cosine"]
    assert left["gain"] < left["cosine"] < 0.95 * left["product"]


@pytest.mark.slow
def test_short_lists_leave_little_more_than_all_atoms():
    """What lists cost: ones of a tenth of the atoms, which share a direction as embeddings do, leave at most a
    few per cent more than the same rule on all atoms, and a list made once leaves more than lists made anew."""
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(1032, 64)) / np.arange(1, 65) ** 0.5 + np.eye(64)[0]
    targets, atoms = rows[:32].astype(np.float32), rows[32:].astype(np.float32)
    exact = matching_pursuit(targets, atoms, 16, implementation="reference").residual_T.mean()
    options: dict = {"implementation": "shortlist", "shortlist": 100}
    lists, once = (matching_pursuit(targets, atoms, 16, rounds=r, **options).residual_T.mean() for r in (4, 1))
    assert lists < 1.03 * exact
    assert lists < once


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("select", slow_if(("cosine", "product").__contains__, SELECT))
def test_zeros_and_duplicates(implementation, select):
    """Tables have rows of zeros and rows twice: they are never chosen, the first of two equals is, and a target of
    zeros, or one that is an atom, leaves its places empty."""
    atoms = table(12, 10, D)
    atoms[0], atoms[5], atoms[7] = 0, atoms[3], 2 * atoms[2]
    targets = np.stack([np.zeros(D, np.float32), atoms[3], *table(13, 3, D)])
    found = matching_pursuit(targets, atoms, 10, select=select, implementation=implementation, rounds=2)
    for array in (found.index_TxK, found.coefficients_TxK, found.residual_T):
        assert np.isfinite(array).all()
    used = np.asarray(found.coefficients_TxK) != 0
    assert used.sum(axis=1).tolist() == [0, 1, 7, 7, 7]
    assert (np.asarray(found.index_TxK)[~used] == 0).all()
    assert found.residual_T[0] == 0
    assert found.index_TxK[1, 0] == 3
    np.testing.assert_allclose(found.coefficients_TxK[1, 0], 1.0, rtol=1e-5)
    for row, places in zip(np.asarray(found.index_TxK), used, strict=True):
        chosen = row[places].tolist()
        assert 0 not in chosen
        assert len({{5: 3, 7: 2}.get(j, j) for j in chosen}) == len(chosen)
    fit = np.linalg.lstsq(atoms.T.astype(np.float64), targets[2:].T.astype(np.float64), rcond=None)[0].T @ atoms
    np.testing.assert_allclose(rebuilt(found, atoms)[2:], fit, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-25, pytest.param(1e25, marks=pytest.mark.slow)])
def test_scale_is_no_matter(scale):
    """Rows whose squares are no float32 numbers: combinations are of directions."""
    targets, atoms = table(14, T, D), table(15, N, D)
    options = {"implementation": "shortlist", "rounds": 1}
    plain = matching_pursuit(targets, atoms, K, **options)
    for t, a in ((scale, 1.0), (1.0, scale)):
        found = matching_pursuit(targets * np.float32(t), atoms * np.float32(a), K, **options)
        np.testing.assert_array_equal(found.index_TxK, plain.index_TxK)
        np.testing.assert_allclose(found.coefficients_TxK * (a / t), plain.coefficients_TxK, rtol=1e-3)


def test_bfloat16_rows_are_taken_as_the_numbers_they_are():
    """Models are stored in bfloat16; arithmetic is float32 all the same."""
    targets, atoms = (jnp.asarray(table(s, n, D), jnp.bfloat16) for s, n in ((16, T), (17, N)))
    found = matching_pursuit(targets, atoms, K, rounds=1)
    exact = matching_pursuit(targets.astype(jnp.float32), atoms.astype(jnp.float32), K, rounds=1)
    assert found.coefficients_TxK.dtype == found.residual_T.dtype == jnp.float32
    np.testing.assert_array_equal(found.index_TxK, exact.index_TxK)
    np.testing.assert_allclose(found.coefficients_TxK, exact.coefficients_TxK, rtol=1e-5)


@pytest.mark.parametrize("implementation", slow_if(("reference",).__contains__, IMPLEMENTATIONS))
@pytest.mark.parametrize("rows", [13, pytest.param(3, marks=pytest.mark.slow)])
def test_a_mesh_changes_nothing(implementation, rows):
    """Targets are split over devices, more and fewer than those divide, with no transfer that was not asked for."""
    targets, atoms = table(18, rows, D), table(19, MANY, D)
    options = {"implementation": implementation, "shortlist": 8, "rounds": 2, "batch": 2}
    alone = matching_pursuit(targets, atoms, K, **options)
    with jax.set_mesh(make_mesh(data=2, fsdp=2, tensor=2)), jax.transfer_guard("disallow"):
        split = matching_pursuit(targets, atoms, K, **options)
        index, coefficients = jax.device_get((split.index_TxK, split.coefficients_TxK))
    np.testing.assert_array_equal(index, alone.index_TxK)
    np.testing.assert_allclose(coefficients, alone.coefficients_TxK, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_arrays_on_a_mesh_are_taken_as_they_lie():
    """An embedding that a mesh holds in parts is not brought to the host first."""
    targets, atoms = table(20, 8, D), table(21, N, D)
    alone = matching_pursuit(targets, atoms, K, rounds=1)
    mesh = make_mesh(data=2, fsdp=4)
    place = jax.NamedSharding(mesh, jax.P("fsdp"))
    with jax.set_mesh(mesh), jax.transfer_guard("disallow"):
        split = matching_pursuit(jax.device_put(targets, place), jax.device_put(atoms, place), K, rounds=1)
        index = jax.device_get(split.index_TxK)
    np.testing.assert_array_equal(index, alone.index_TxK)


def test_no_targets_give_no_combinations():
    """A vocabulary that lacks nothing is no error."""
    found = matching_pursuit(np.zeros((0, D), np.float32), table(22, N, D), K)
    assert found.index_TxK.shape == (0, K) and found.residual_T.shape == (0,)


@pytest.mark.slow
def test_the_exact_one_is_the_default():
    """What is faster leaves more, so it is asked for by name."""
    targets, atoms = table(25, T, D), table(26, 200, D)
    options: dict = {"shortlist": 8, "rounds": 1}
    default = matching_pursuit(targets, atoms, K, **options)
    exact, listed = (matching_pursuit(targets, atoms, K, implementation=i, **options) for i in IMPLEMENTATIONS)
    np.testing.assert_array_equal(default.index_TxK, exact.index_TxK)
    assert exact.residual_T.mean() < listed.residual_T.mean()


@pytest.mark.parametrize("count", [3000, 4095, 10_001])
def test_lists_out_of_many_have_the_largest(count):
    """Buckets hide few: never the largest, and in all no more than a tenth of what a full comparison lists; every place
    is an atom's, and none is there twice, whatever is left over of the last bucket or part; those that are to be last
    are not there."""
    rng = np.random.default_rng(27)
    x, atoms = rng.normal(size=(16, 8)).astype(np.float32), rng.normal(size=(count, 8)).astype(np.float32)
    x[0] = 0
    atoms[-1] = 9 * x[1]
    products = np.abs(x @ atoms.T)
    last = np.full((16, 3), -1, np.int32)
    last[2:, 1:] = np.argsort(-products[2:], axis=1)[:, [0, 4]]
    places = np.asarray(jax.jit(largest_products, static_argnums=3)(x, atoms, last, 40))
    assert places.min() >= 0 and places.max() < count
    np.put_along_axis(products[2:], last[2:, 1:], -1.0, axis=1)
    for row, found in zip(products, places, strict=True):
        assert len(set(found)) == 40
        assert row[found[0]] >= 0.99 * row.max()
        assert row[found].min() >= 0
    full = np.argsort(-products[1:], axis=1)[:, :40]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(full, places[1:], strict=True)]) > 36
    assert places[1, 0] == count - 1


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_it_is_a_program_for_every_platform(implementation):
    """Nobody has them all at hand. Lists go through a processor's caches block by block, and on others all together,
    where each step of a loop is a wait."""
    options = (("shortlist", 16), ("rounds", 2)) if implementation == "shortlist" else ()
    shapes = (jax.ShapeDtypeStruct((n, D), jnp.float32) for n in (64, MANY))
    traced = jax.jit(_pursue, static_argnums=range(2, 8)).trace(*shapes, 64, K, "gain", implementation, 32, options)
    loops = {
        platform: traced.lower(lowering_platforms=(platform,)).as_text().count("stablehlo.while")
        for platform in ("cpu", "cuda", "tpu")
    }
    assert loops["cuda"] == loops["tpu"]
    assert (loops["cpu"] > loops["tpu"]) == (implementation == "shortlist")


def test_what_cannot_be_is_refused():
    """A broken row would make a broken model without a word, and a wrong number a useless one."""
    targets, atoms = table(23, T, D), table(24, N, D)
    broken_targets, broken_atoms = targets.copy(), atoms.copy()
    broken_targets[4, 1], broken_atoms[[2, 7], 0] = np.nan, np.inf
    cases: tuple[tuple[tuple, dict, str], ...] = (
        ((broken_targets, atoms, K), {}, "1 target row.* 4;"),
        ((targets, broken_atoms, K), {}, "2 atom row.* 2, 7;"),
        ((targets[:, 1:], atoms, K), {}, r"\(6, 23\).*\(40, 24\)"),
        ((targets, atoms[:0], K), {}, "no atoms"),
        ((targets, atoms, 0), {}, "k is at least 1, got 0"),
        ((targets, atoms, K), {"batch": 0}, "batch is at least 1"),
        ((targets, atoms, K), {"rounds": 0}, "rounds is at least 1"),
        ((targets, atoms, 9), {"implementation": "shortlist", "shortlist": 2, "rounds": 3}, "chooses 3.*list of 2"),
        ((targets, atoms, K), {"select": "norm"}, "'norm'; there are gain, cosine, product"),
        ((targets, atoms, K), {"implementation": "fast"}, "'fast'; there are reference, shortlist"),
    )
    for args, options, message in cases:
        with pytest.raises(MatchingPursuitError, match=message):
            matching_pursuit(*args, **options)
