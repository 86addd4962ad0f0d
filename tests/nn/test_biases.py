"""What pretrained families have and ours do not: biases, parallel sublayers, layers without rotary positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import FrozenConfigDict
from samples import filled

from lexitok.config import transformer
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Positions

S = 6
SIZES = {"D": 12, "L": 2, "H": 4, "K": 2, "N": 4, "F": 20}


def make(**changes) -> Transformer:
    """A stack whose parameters are all random, those that start as zeros or ones too."""
    c = FrozenConfigDict(transformer(**SIZES, **changes))
    return filled(jax.eval_shape(lambda: Transformer(c, rngs=nnx.Rngs(0))))


def row() -> tuple[jax.Array, Positions]:
    x = jax.random.normal(jax.random.key(2), (2, S, SIZES["D"]))
    return x, Positions(jnp.ones((2, S), jnp.int32), jnp.tile(jnp.arange(S)[None], (2, 1)))


def first(model: Transformer):
    return jax.tree.map(lambda a: a[0], model.layers)


def names(model) -> set[str]:
    return {jax.tree_util.keystr(path).removesuffix(".value") for path, _ in jax.tree.leaves_with_path(model)}


def test_biases_are_added_where_they_are_asked_for():
    """Queries, keys, values, the output and each map of the feed-forward: a few lines of numpy."""
    model = make(attention_bias="all", feed_forward_bias="learned", norm_bias="learned", pre_norms="layer")
    block, (x, positions) = first(model), row()
    zero = Positions(positions.segments_BxS, jnp.zeros_like(positions.positions_BxS))  # nothing is rotated
    q, k, v = jax.jit(lambda block: block.mixer.project(x, zero, "global"))(block)
    for found, w, bias in ((q, "wq", "q_bias"), (k, "wk", "k_bias"), (v, "wv", "v_bias")):
        expected = np.einsum("BSD,DHN->BSHN", x, getattr(block.mixer, w)[...])
        np.testing.assert_allclose(found, expected + np.asarray(getattr(block.mixer, bias).bias[...]), atol=1e-5)
    attend = jax.jit(lambda mixer: mixer(x, positions, "global"))
    without = first(model).mixer
    without.o_bias = None
    difference = np.asarray(attend(block.mixer)) - np.asarray(attend(without))
    np.testing.assert_allclose(difference, np.broadcast_to(block.mixer.o_bias.bias[...], x.shape), atol=1e-5)
    f = block.feed_forward
    h = np.asarray(x)
    gate = h @ np.asarray(f.gate[...]) + np.asarray(f.gate_bias.bias[...])
    up = h @ np.asarray(f.up[...]) + np.asarray(f.up_bias.bias[...])
    expected = (gate / (1 + np.exp(-gate)) * up) @ np.asarray(f.down[...]) + np.asarray(f.down_bias.bias[...])
    np.testing.assert_allclose(jax.jit(lambda f: f(x))(f), expected, atol=1e-4)
    centred = h - h.mean(-1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + model.c.norm_eps)
    norm = block.mixer_norm
    np.testing.assert_allclose(
        jax.jit(lambda norm: norm(x))(norm), unit * np.asarray(norm.scale[...]) + np.asarray(norm.bias[...]), atol=1e-5
    )


def test_qwen_has_no_bias_on_the_way_out():
    """`qkv` is not `all`."""
    have = {name for name in names(make(attention_bias="qkv")) if "bias" in name}
    assert have == {f".layers.mixer.{x}_bias.bias" for x in "qkv"}


def test_parallel_sublayers_read_the_same():
    """GPT-NeoX's feed-forward does not see what its own layer's attention has found."""
    model, (x, positions) = make(residual="parallel"), row()
    block = first(model)
    mixed = block.mixer(block.mixer_norm(x), positions, "global")
    expected = x + mixed + block.feed_forward(block.feed_forward_norm(x))
    np.testing.assert_allclose(block(x, positions, "global"), expected, atol=1e-5)


def test_a_layer_without_rotary_positions_does_not_know_where_it_is():
    """Shifting positions against each other changes nothing there, and something in a rotated layer."""
    x, positions = row()
    apart = Positions(positions.segments_BxS, positions.positions_BxS * 3)
    for kind, changes in (("unrotated", False), ("global", True)):
        model = make(layer_kinds=(kind,))
        assert (np.abs(model(x, apart) - model(x, positions)).max() > 1e-3) == changes


@pytest.mark.parametrize(
    "changes",
    [
        {"residual": "parallel"},
        {"layer_kinds": ("global", "unrotated")},
        {"attention_bias": "all", "feed_forward_bias": "learned"},
    ],
)
def test_extend_equals_call(changes):
    """Decoding through the cache knows of all of it."""
    model, (x, positions) = make(**changes), row()
    cache, outs = model.empty(2, S, 2, None, jnp.float32), []
    for start in range(0, S, 2):
        part = jax.tree.map(lambda a, start=start: a[:, start : start + 2], positions)
        out, cache = model.extend(x[:, start : start + 2], part, cache)
        outs.append(out)
    np.testing.assert_allclose(jnp.concatenate(outs, 1), model(x, positions), atol=2e-5)


@pytest.mark.parametrize("name", ["attention_bias", "feed_forward_bias", "norm_bias", "residual"])
def test_settings_that_do_not_exist_are_named(name):
    """A wrong setting fails when the model is made."""
    with pytest.raises(ValueError, match=f"unknown {name} 'some'; there are"):
        make(**{name: "some"})
