"""The pictures and tables of interfaces' vectors."""

import numpy as np
import pytest
from samples import small_config

from lexitok.analysis.geometry import frequent_letters, geometry_figure, geometry_table
from lexitok.analysis.plots import to_png
from lexitok.data.encoders import make_encoder
from lexitok.interfaces.checks import check_vectors

X = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)


def test_the_table_says_what_the_reports_found():
    """A collision must be visible at a glance."""
    same = X.copy()
    same[3] = same[5]
    lines = geometry_table({"a": check_vectors(X), "b": check_vectors(same)}).splitlines()
    assert "| a | 30 of 30 | 0 | 8 of 8 |" in lines[2] and "| b | 29 of 30 | 0 | 8 of 8 |" in lines[3]


def test_the_figure_has_a_row_for_each_interface():
    """Cosines that are drawn are those of the chosen symbols, in their order."""
    ids, labels = [4, 1, 7], ["d", "a", "g"]
    figure = geometry_figure({"a": X, "zeros": np.zeros_like(X)}, ids, labels)
    axes = [axes for axes in figure.axes if axes.get_title()]
    assert [a.get_title() for a in axes[:3]] == ["a: cosines", "on two axes", "singular values"] and len(axes) == 6
    shown = np.asarray(axes[0].images[0].get_array())
    x = X[ids] - X.mean(0)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(shown, x @ x.T, atol=1e-5)
    assert [t.get_text() for t in axes[0].get_xticklabels()] == labels
    assert to_png(figure).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="1 interfaces, 3 symbols, 2 labels"):
        geometry_figure({"a": X}, ids, labels[:2])


def test_letters_are_in_alphabetical_order():
    """Only the most frequent ones, upper beside lower case; digits and spaces are left out."""
    encoder = make_encoder(small_config("bytes").text)
    found = frequent_letters(encoder, [b"bbb BB aaa ccd 111 2222"], 4)
    assert bytes(found) == b"aBbc"
    with pytest.raises(ValueError, match="no symbol with a letter"):
        frequent_letters(encoder, [b"12 34"], 4)
