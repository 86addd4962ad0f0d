"""Codes of as few bits as there can be: every symbol keeps an identity, and nothing is learned of how it enters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from lexitok import config as C
from lexitok.interfaces import make_interface
from lexitok.interfaces.binary import BinaryCodes
from lexitok.interfaces.gf2 import affine, inverse, random_invertible

NONE = jnp.zeros(1, jnp.int32)


def make(V, D, **changes) -> BinaryCodes:
    return make_interface(C.binary(**changes), V, D, nnx.Rngs(0))


def vectors(interface, V) -> np.ndarray:
    return np.asarray(interface.bind(NONE).embed(jnp.arange(V, dtype=jnp.int32)[None], jnp.float32))[0]


@given(st.integers(1, 12), st.integers(0, 2**31))
def test_affine_codes_are_a_permutation(K, seed):
    """A x + b over two elements loses no symbol, and its inverse finds each again."""
    rng = np.random.default_rng(seed)
    rows, offset = random_invertible(K, rng), int(rng.integers(0, 1 << K))
    codes = affine(rows, offset, np.arange(1 << K))
    assert sorted(codes.tolist()) == list(range(1 << K))
    back = inverse(rows, K)
    assert back is not None
    np.testing.assert_array_equal(affine(back, 0, codes ^ offset), np.arange(1 << K))


def test_a_singular_matrix_has_no_inverse():
    """A draw that would make symbols coincide must be refused."""
    assert inverse((0b11, 0b11), 2) is None and inverse((0,), 1) is None
    assert inverse((0b10, 0b01), 2) == (0b10, 0b01)


def test_the_identity_is_the_canonical_code():
    """A = I, b = 0: the code of an id is the id."""
    K = 9
    np.testing.assert_array_equal(affine([1 << k for k in range(K)], 0, np.arange(1 << K)), np.arange(1 << K))
    np.testing.assert_array_equal(np.asarray(make(300, 32).codes(jnp.arange(300))), np.arange(300))


@pytest.mark.parametrize("recoding", ["canonical", "affine"])
@pytest.mark.parametrize("lift", ["zero_one", "plus_minus"])
def test_vectors_are_the_tiled_codes(recoding, lift):
    """Against the definition, with a width that the code does not divide: x_j = c[j mod K]."""
    V, D, K = 300, 32, 9
    interface = make(V, D, recoding=recoding, lift=lift, seed=3)
    codes = affine(interface.rows, interface.offset, np.arange(V))
    np.testing.assert_array_equal(np.asarray(interface.codes(jnp.arange(V))), codes)
    bits = codes[:, None] >> (np.arange(D) % K)[None] & 1
    np.testing.assert_array_equal(vectors(interface, V), 2 * bits - 1 if lift == "plus_minus" else bits)


def test_a_linear_probe_recovers_the_id():
    """Recoding changes no information: bits are linear in the vector, and the affine map can be undone."""
    V, D = 300, 32
    interface = make(V, D, recoding="affine", norm="rms", seed=1)
    x = np.append(vectors(interface, V) > 0, np.ones((V, 1)), axis=1).astype(float)
    codes = affine(interface.rows, interface.offset, np.arange(V))
    bits = codes[:, None] >> np.arange(interface.K)[None] & 1
    probe, *_ = np.linalg.lstsq(x, bits, rcond=None)
    found = ((x @ probe > 0.5) << np.arange(interface.K)[None]).sum(1)
    back = inverse(interface.rows, interface.K)
    assert back is not None
    np.testing.assert_array_equal(affine(back, 0, found ^ interface.offset), np.arange(V))


def test_norms():
    """The effect of normalising, as the docstring states it: plain bits have the norm of their ones; id 0 has none."""
    V, D = 256, 32
    plain, normed, signs = (vectors(make(V, D, **c), V) for c in ({}, {"norm": "rms"}, {"lift": "plus_minus"}))
    ones = np.bitwise_count(np.arange(V)).astype(int)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), np.sqrt(ones * D / 8), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(normed[1:], axis=1), np.sqrt(D), rtol=1e-5)
    assert not plain[0].any() and not normed[0].any()
    np.testing.assert_allclose(np.linalg.norm(signs, axis=1), np.sqrt(D), rtol=1e-6)
    assert np.linalg.norm(vectors(make(V, D, recoding="affine", seed=2), V)[0]) > 0


@pytest.mark.parametrize("lift", ["zero_one", "plus_minus"])
def test_nothing_of_how_symbols_enter_is_learned(lift):
    """Zero input parameters: all that the interface has is the read-out."""
    interface = make(1000, 24, lift=lift)
    assert [leaf.shape for leaf in jax.tree.leaves(interface)] == [(1000, 24)]


@pytest.mark.parametrize(
    ("V", "changes", "message"),
    [
        (300, {}, "300 symbols have codes of 9 bits, which do not fit into 8 dimensions"),
        (9, {"recoding": "gray"}, "unknown interface.recoding 'gray'; there are canonical, affine"),
        (9, {"lift": "one_hot"}, "unknown interface.lift 'one_hot'; there are zero_one, plus_minus"),
        (9, {"norm": "l1"}, "unknown interface.norm 'l1'; there are none, rms"),
    ],
)
def test_settings_that_cannot_be(V, changes, message):
    """A wrong setting is met with its name and what it may be."""
    with pytest.raises(ValueError, match=message):
        make(V, 8, **changes)
