"""Word vectors and their neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import small_config, small_model

from lexitok.analysis import array_table, frequent_units, neighbour_table, neighbours, parameters_table, unit_vectors
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows

WORDS = [b"cat", b"cats", b"dog", "Größe".encode()]


def model_and_encoder(kind):
    return small_model(kind), make_encoder(small_config(kind).text)


@jax.jit
def unit_features(model, batch):
    return model.features(batch)["vectors"]


@pytest.mark.parametrize(("kind", "unit"), [("hat_v1", 0), ("hat_v2", 1)])
def test_a_vector_is_what_the_backbone_gets_for_the_word(kind, unit):
    """The index of a word's unit depends on the boundary rule, and any other unit's vector looks as good."""
    model, encoder = model_and_encoder(kind)
    for word, vector in zip(WORDS, unit_vectors(model, encoder, WORDS), strict=True):
        document = encoder.encode(word)
        batch = pack_rows([[make_piece(document, 0, len(document))]], symbols=16, units=8, pad=259)
        units = unit_features(model, jax.tree.map(jnp.asarray, batch))
        np.testing.assert_allclose(vector, units[0, unit], rtol=1e-4, atol=1e-5)


def test_context_reaches_only_the_causal_encoder():
    """What the page says about the two encoders: HAT v1 reads a word alone, HAT v2 what stands before it too."""
    change = {}
    # A space belongs to the word that it stands behind (v1) or before (v2).
    for kind, behind, before in (("hat_v1", b" ", b""), ("hat_v2", b"", b" ")):
        model, encoder = model_and_encoder(kind)
        words = [before + word for word in WORDS]
        a, b = (unit_vectors(model, encoder, words, context + behind) for context in (b"one", b"two"))
        change[kind] = np.abs(a - b).max()
    assert change["hat_v1"] < 1e-5 < 1e-3 < change["hat_v2"]


def test_what_is_not_one_unit_has_no_vector():
    """A vector of half a word would be taken for the word's."""
    model, encoder = model_and_encoder("hat_v2")
    with pytest.raises(ValueError, match="b'two words' after b'' is not one unit"):
        unit_vectors(model, encoder, [b"cat", b"two words"])
    with pytest.raises(ValueError, match="is not one unit"):
        unit_vectors(model, encoder, [b"cat"], context=b"bob")
    with pytest.raises(ValueError, match="no words"):
        unit_vectors(model, encoder, [])
    with pytest.raises(ValueError, match="this one has 'bytes'"):
        unit_vectors(*model_and_encoder("bytes"), [b"cat"])


def test_neighbours_are_sorted_by_cosine_and_never_the_word_itself():
    """Euclidean order, or a word that is its own neighbour, makes a plausible but wrong table."""
    vectors = 50 + np.array([[1.0, 0.0], [10.0, 1.0], [0.9, 0.9], [-11.9, -1.9]])  # 50 is what all have in common
    found = neighbours(vectors, WORDS, b"cat", k=2)
    assert [word for word, _ in found] == [b"cats", b"dog"]
    np.testing.assert_allclose([c for _, c in found], [10 / 101**0.5, 0.5**0.5])
    assert "| **`cat`** | `cats` 1.00 | `dog` 0.71 |" in neighbour_table(vectors, WORDS, [b"cat"], k=2)
    with pytest.raises(ValueError, match="no vector of b'cow'"):
        neighbours(vectors, WORDS, b"cow")


def test_frequent_units_are_words():
    """Spaces and punctuation are the most frequent units of all, and nobody wants their neighbours."""
    encoder = make_encoder(small_config("hat_v2").text)
    found = frequent_units(encoder, [b"the cat + the dog + the cat + the end + + +"] * 2, 2)
    assert [word.strip() for word in found] == [b"the", b"cat"]


def test_tables_of_parameters_add_up():
    """The counts are what people quote."""
    model = small_model("hat_v2")
    total = sum(x.size for x in jax.tree.leaves(model))
    assert f"| total | {total:,} | 100.0% |" in parameters_table(model)
    rows = [line.split("|") for line in array_table(model).splitlines()[2:]]
    assert sum(int(row[4].replace(",", "")) for row in rows) == total
    assert any(row[1].strip() == "stage.backbone.layers.mixer.wq" for row in rows)
