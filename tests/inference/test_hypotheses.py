"""The heaviest hypotheses, and what is left out, on weights that are known."""

import numpy as np
import pytest

from lexitok.inference.hypotheses import heaviest, lost_after


def test_the_heaviest_are_kept_and_the_others_counted():
    """A hypothesis that is left out must be missing from the weights, and its share must be known."""
    with np.errstate(divide="ignore"):
        weights = np.log([[0.1, 0.4, 0.0, 0.3], [0.0, 0.0, 0.2, 0.0]])
    kept = heaviest(weights, 2)
    assert kept.index_BxK.tolist() == [[1, 3], [2, 0]]
    np.testing.assert_allclose(np.exp(kept.weights_BxK), [[0.5, 0.375], [1, 0]])
    np.testing.assert_allclose(np.exp(kept.total_B), [0.8, 0.2])
    np.testing.assert_allclose(np.exp(kept.left_out_B), [0.125, 0], atol=1e-15)
    assert kept.left_out_B[1] == -np.inf


def test_equal_hypotheses_are_kept_in_their_order():
    """Two runs must keep the same ones."""
    assert heaviest(np.zeros((1, 40)), 3).index_BxK.tolist() == [[0, 1, 2]]


def test_weights_of_long_texts():
    """Weights far below what a float can hold as a probability are as good as others."""
    kept = heaviest(np.array([[-5000.0, -5000.0, -7000.0]]), 2)
    np.testing.assert_allclose(kept.weights_BxK, np.log([[0.5, 0.5]]))
    np.testing.assert_allclose(kept.left_out_B, [-2000 - np.log(2)])
    lost = lost_after(np.array([-np.inf]), kept.left_out_B)
    np.testing.assert_allclose(lost_after(lost, kept.left_out_B), [-2000.0])


@pytest.mark.parametrize("bad", [-np.inf, np.nan])
def test_a_text_without_hypotheses_is_told_by_its_total(bad):
    """The others of the batch are unharmed, and nothing warns of what the caller finds out."""
    kept = heaviest(np.array([[bad, -np.inf], [0.0, 0.0]]), 1)
    assert np.isfinite(kept.total_B).tolist() == [False, True]
    np.testing.assert_allclose(kept.left_out_B[1], np.log(0.5))


def test_shares_that_are_lost_one_after_another():
    """Each is of what the one before has left; nothing lost stays nothing, and all stays all."""
    shares = np.log([[0.1, 0.5], [0.2, 1.0], [0.5, 0.5]])
    lost = np.full(2, -np.inf)
    assert (lost_after(lost, np.full(2, -np.inf)) == -np.inf).all()
    for share, expected in zip(shares, [[0.1, 0.5], [0.28, 1.0], [0.64, 1.0]], strict=True):
        lost = lost_after(lost, share)
        np.testing.assert_allclose(np.exp(lost), expected)
