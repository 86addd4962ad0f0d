"""Frozen glyphs: what enters is the picture and nothing else, and symbols that look alike can be told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from lexitok.interfaces import Interface, pin
from lexitok.interfaces.checks import check_vectors, input_vectors
from lexitok.interfaces.glyphs import DISTINCT, Glyphs, principal_axes
from lexitok.made import is_made
from lexitok.ops.read_out import Query
from lexitok.parameter_names import merge, split
from lexitok.text.alphabet import APPENDED, doubled
from lexitok.text.drawing import draw_tokens, unpack
from lexitok.text.hex_font import HexFont
from lexitok.text.vocabulary import byte_vocabulary

WORDS = (
    " ",
    "a",
    "A",
    "А",
    "Α",
    "é",
    "世",
    "界",
    " the",
    "the",
    "in",
    "self",
    "_",
    "-",
    "‐",
    "import",
    "\n",
    "\t",
    "\r",
)
LONG = b" internationalization"
TOKENS = (b"", b"", *(word.encode() for word in WORDS), LONG, b"\xff", b"\xe4", b"\xe4\xb8")
V = len(TOKENS)


def section(**changes) -> ConfigDict:
    c = {"kind": "glyphs", "font": "", "size": 16, "drawing": "published", "distinct": "published"}
    c["font_fingerprint"] = ""
    return ConfigDict({**c, "scale": 1.0, "softcap": 0.0, **changes})


def make(D: int, tokens=TOKENS, **changes) -> Glyphs:
    return Glyphs(section(**changes), len(tokens), D, tokens, rngs=nnx.Rngs(0))


def cosines(x: np.ndarray) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize(("D", "size"), [(256, 16), (300, 16), (512, 32), (700, 32)])
def test_where_all_pixels_fit_the_angles_are_those_of_the_centred_pictures(D, size):
    """Padding, and leaving rows out that are there twice, must not change the geometry."""
    pixels = unpack(draw_tokens(TOKENS, HexFont.read(), size=size)).reshape(V, -1).astype(np.float64)
    x = input_vectors(make(D, size=size))
    np.testing.assert_allclose(cosines(x), cosines(pixels - pixels.mean(axis=0)), atol=1e-5)


def test_a_projection_keeps_what_its_rank_allows():
    """With more dimensions than symbols, principal axes lose nothing: angles are those of the pictures."""
    pixels = unpack(draw_tokens(TOKENS, HexFont.read())).reshape(V, -1).astype(np.float64)
    np.testing.assert_allclose(cosines(input_vectors(make(64))), cosines(pixels - pixels.mean(axis=0)), atol=1e-5)


def test_principal_axes_are_orthonormal_ordered_and_of_a_fixed_sign():
    """They are computed again whenever a model is made, and have to come out the same."""
    packed = draw_tokens(TOKENS, HexFont.read())
    axes = principal_axes(packed)
    np.testing.assert_allclose(axes.T @ axes, np.eye(256), atol=1e-10)
    pixels = unpack(packed).reshape(V, -1).astype(np.float64)
    variances = ((pixels - pixels.mean(axis=0)) @ axes).var(axis=0)
    assert (np.diff(variances) < 1e-12).all()
    np.testing.assert_allclose(variances.sum(), pixels.var(axis=0).sum())
    mirrored = principal_axes(np.packbits(unpack(packed)[::-1].reshape(V, -1), axis=1))  # symbols in another order
    seen = variances > 1e-3
    np.testing.assert_allclose(mirrored[:, seen], axes[:, seen], atol=1e-8)


@pytest.mark.parametrize("distinct", DISTINCT)
@pytest.mark.parametrize("D", [24, 258])
def test_vectors_have_the_length_that_the_scale_says(distinct, D):
    """A model's first layer relies on the size of its input."""
    x = input_vectors(make(D, distinct=distinct, scale=0.5))
    np.testing.assert_allclose(np.sqrt((x**2).mean(axis=1)), 0.5, rtol=1e-5)


def test_published_vectors_coincide_as_the_published_table_does():
    """The flaw is kept where it is asked for, so that its price can be measured."""
    report = check_vectors(input_vectors(make(32)))
    for alike in ((b" ", b"\n", b"\t", b"\r", LONG), (b"A", "А".encode(), "Α".encode())):
        assert tuple(sorted(map(TOKENS.index, alike))) in report.groups


@pytest.mark.parametrize(("D", "size"), [(8, 16), (24, 32), (258, 16), (600, 32)])
def test_told_apart_vectors_are_all_different_in_every_dtype(D, size):
    """Injective for any vocabulary, behind any projection: here also with tokens that are there twice."""
    glyphs = make(D, TOKENS + TOKENS, size=size, distinct="told_apart")
    embed = jax.jit(
        lambda dtype: glyphs.bind(jnp.zeros(1, jnp.int32)).embed(jnp.arange(2 * V)[None], dtype), static_argnums=0
    )
    for dtype in (jnp.float32, jnp.bfloat16):
        x = embed(dtype)
        assert x.dtype == dtype
        assert check_vectors(np.asarray(x[0].astype(jnp.float32)), pairs=0).injective


def test_symbols_without_any_picture_of_their_own_are_told_apart_too():
    """The hardest case: all are blank, and only the code is left."""
    report = check_vectors(input_vectors(make(8, (b" ",) * 100, distinct="told_apart")))
    assert report.injective and not report.zeros
    with pytest.raises(ValueError, match=r"code of 7 bits, which 7 dimensions have no room for"):
        make(7, (b" ",) * 100, distinct="told_apart")


@pytest.mark.parametrize("alphabet", [APPENDED, doubled(APPENDED)])
def test_byte_models_have_a_vector_for_every_symbol(alphabet):
    """Their symbols are no characters, and of two alphabets in one every byte is there twice."""
    vocabulary = byte_vocabulary(alphabet)
    glyphs = make(48, vocabulary.token_bytes, drawing="legible", distinct="told_apart")
    assert check_vectors(input_vectors(glyphs)).injective


def test_nothing_of_the_input_is_trained():
    """Pictures are no parameters: the read-out is all that learns."""
    glyphs = make(16)
    made, parameters = split(glyphs, is_made)
    assert [leaf.shape for leaf in jax.tree.leaves(parameters)] == [(V, 16)]
    assert isinstance(glyphs, Interface)
    symbols, seeds = jnp.arange(6, dtype=jnp.int32)[None], jnp.zeros(1, jnp.int32)

    def loss(parameters):
        interface = merge(parameters, made)
        bound = interface.bind(seeds)
        return bound.read_out(bound.embed(symbols, jnp.float32), Query(symbols)).nll_BxS.sum()

    gradients = jax.jit(jax.grad(loss))(parameters)
    assert np.abs(np.asarray(gradients.head[...])).max() > 0


def test_two_that_are_made_alike_have_equal_trees():
    """Else a compiled step would refuse the state that a checkpoint is read into, or go on with other pictures."""
    a, b = make(16, distinct="told_apart"), make(16, distinct="told_apart")
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)
    other = make(16, tuple(reversed(TOKENS)), distinct="told_apart")
    assert jax.tree.structure(a) == jax.tree.structure(other)  # another vocabulary needs no other program
    assert not np.array_equal(a.made_pictures[...], other.made_pictures[...])


def test_permuting_the_vocabulary_permutes_the_vectors():
    """A vector is of what a symbol looks like, not of its id."""
    order = np.random.default_rng(0).permutation(np.arange(2, V))
    tokens = TOKENS[:2] + tuple(TOKENS[i] for i in order)
    a, b = input_vectors(make(300)), input_vectors(make(300, tokens))
    np.testing.assert_allclose(b[2:], a[order], atol=1e-5)


def test_no_table_of_float_vectors_is_in_the_program():
    """Pictures stay packed: 32 bytes a symbol, where a table of float32 would have 4 D."""
    tokens = tuple(f"{i}".encode() for i in range(3000))
    glyphs, D = make(64, tokens), 64
    symbols, seeds = jnp.zeros((2, 8), jnp.int32), jnp.zeros(2, jnp.int32)
    embed = jax.jit(lambda glyphs, symbols, seeds: glyphs.bind(seeds).embed(symbols, jnp.float32))
    text = embed.lower(glyphs, symbols, seeds).compile().as_text()
    assert "u8[3000,32]" in text
    assert not any(f"{dtype}[3000,{n}]" in text for dtype in ("f32", "bf16") for n in (D, 256))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distinct": "yes"}, r"unknown interface.distinct 'yes'; there are published, told_apart"),
        ({"drawing": "pretty"}, r"no drawing 'pretty'"),
        ({"font": "/none.hex"}, r"/none.hex: No such file"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    """With what there is."""
    with pytest.raises(ValueError, match=message):
        make(16, **changes)


def test_tokens_of_another_vocabulary_are_refused():
    """Pictures of other symbols would be learned from without a complaint."""
    with pytest.raises(ValueError, match=r"the bytes of 5 symbols, and there are those of 0"):
        Glyphs(section(), 5, 8, rngs=nnx.Rngs(0))


def test_a_model_knows_the_font_that_it_was_trained_with(tmp_path):
    """Pictures are no part of a checkpoint: with another font the same parameters would be another model."""
    lines = [f"{ord('a') + i:04X}:{'00' * i}{'3C' * (16 - i)}" for i in range(3)]
    font, moved, other = (tmp_path / f"{name}.hex" for name in ("font", "moved", "other"))
    font.write_text("\n".join(lines))
    moved.write_text("# the same glyphs\n" + "\n".join(reversed(lines)))
    other.write_text("\n".join(lines[:2]))
    c = section(font=str(font))
    pin(c)
    tokens = (b"a", b"b", b"c")
    expected = input_vectors(Glyphs(c, 3, 8, tokens, rngs=nnx.Rngs(0)))
    c.font = str(moved)
    np.testing.assert_array_equal(input_vectors(Glyphs(c, 3, 8, tokens, rngs=nnx.Rngs(0))), expected)
    c.font = str(other)
    with pytest.raises(
        ValueError, match=r"other.hex has the fingerprint .*: set model.interface.font to that one's path"
    ):
        Glyphs(c, 3, 8, tokens, rngs=nnx.Rngs(0))
