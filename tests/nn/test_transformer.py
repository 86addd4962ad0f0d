"""The stack: what it sees, how it is computed, and that none of the ways to compute it changes the result."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import FrozenConfigDict
from samples import slow, slow_if

from lexitok.config import chain, transformer
from lexitok.nn.cache import NOWHERE
from lexitok.nn.parameters import parameter
from lexitok.nn.stacks import Chain, make_stack
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Positions

SHAPES = {
    "llama3": {"K": 2, "rope_llama3": (8.0, 1.0, 4.0, 16.0)},
    "qwen3": {"K": 2, "qk_norm": "rms", "norm_eps": 1e-6},
    "gemma3": {
        "K": 1,
        "qk_norm": "rms",
        "post_norms": "rms",
        "norm_scale": "offset",
        "activation": "gelu",
        "layer_kinds": ("local", "local", "global"),
        "window": 5,
        "rope_base": 1e6,
        "rope_scale": 8.0,
        "query_scale": 0.2,
    },
    "gemma2": {"softcap": 5.0, "layer_kinds": ("local", "global"), "window": 4},
}
S = 24


def make(name: str, **changes) -> Transformer:
    sizes = {"D": 16, "L": 4 if name == "gemma3" else 3, "H": 4, "K": 4, "N": 8, "F": 24}
    c = transformer(**{**sizes, **SHAPES[name], **changes})
    return Transformer(FrozenConfigDict(c), rngs=nnx.Rngs(0))


def row() -> tuple[jax.Array, Positions]:
    x = jax.random.normal(jax.random.key(1), (2, S, 16))
    segments = jnp.array([[1] * 10 + [2] * 14, [1] * 24])
    positions = jnp.array([[*range(10), *range(14)], [*range(24)]])
    return x, Positions(segments, positions)


@pytest.mark.parametrize("name", slow_if(("llama3", "qwen3", "gemma2").__contains__, SHAPES))
def test_causality_by_gradient(name):
    """An output depends on its own and earlier positions of its segment, and on nothing else."""
    model, (x, positions) = make(name), row()
    jacobian = jax.jit(jax.jacrev(lambda x: model(x, positions)[0].sum(-1)))(x)  # [S, B, S, D]
    reach = np.abs(np.asarray(jacobian)).sum(-1)
    assert (reach[:, 1] == 0).all()
    t, s = np.indices((S, S))
    same = np.asarray(positions.segments_BxS)[0][:, None] == np.asarray(positions.segments_BxS)[0][None]
    np.testing.assert_array_equal(reach[:, 0] > 0, (s <= t) & same)


@pytest.mark.parametrize(("name", "remat"), slow(("llama3", "full"), ("gemma2", "dots"), ("qwen3", "dots")))
def test_remat_changes_nothing(name, remat):
    """What the backward pass recomputes is a question of memory only."""
    x, positions = row()

    def loss(model):
        return jnp.square(model(x, positions)).sum()

    plain, again = (jax.jit(jax.value_and_grad(loss))(make(name, remat=r)) for r in ("none", remat))
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_remat_keeps_one_layer_at_a_time():
    """However many layers a period of kinds has, the backward pass holds the inside of one of them: the memory of six
    kinds is that of one, and not that of six layers."""

    def temporary_bytes(kinds, remat):
        model, (x, positions) = make("llama3", L=6, F=512, window=4, layer_kinds=kinds, remat=remat), row()
        grad = jax.jit(jax.grad(lambda model: jnp.square(model(x, positions)).sum()))
        return grad.lower(model).compile().memory_analysis().temp_size_in_bytes

    period = ("local",) * 5 + ("global",)
    assert temporary_bytes(period, "full") < 1.6 * temporary_bytes(("global",), "full")
    assert temporary_bytes(period, "full") < 0.5 * temporary_bytes(period, "none")


@pytest.mark.parametrize("name", slow_if(("llama3", "qwen3", "gemma2").__contains__, SHAPES))
def test_scan_equals_a_loop_over_layers(name):
    """Stacking and scanning, with layer kinds that do not divide the layers, is the same as one block after another."""
    model, (x, positions) = make(name), row()
    kinds = model.c.layer_kinds
    expected = x
    for i in range(model.c.L):
        block = jax.tree.map(lambda a, i=i: a[i], model.layers)
        expected = block(expected, positions, kinds[i % len(kinds)])
    np.testing.assert_allclose(model(x, positions), model.norm(expected), atol=1e-5)


extend = jax.jit(Transformer.extend)


def in_parts(model, x, positions, cache, widths, pad):
    """The outputs of reading a row part by part, each part filled up to `pad` positions that stand for nothing."""
    outs, start = [], 0
    for width in widths:
        at = slice(start, start + width)
        fill = ((0, 0), (0, pad - width))
        part = Positions(
            jnp.pad(positions.segments_BxS[:, at], fill, constant_values=NOWHERE),
            jnp.pad(positions.positions_BxS[:, at], fill),
        )
        out, cache = extend(model, jnp.pad(x[:, at], (*fill, (0, 0)), constant_values=7.0), part, cache)
        outs.append(out[:, :width])
        start += width
    assert start == x.shape[1]
    return jnp.concatenate(outs, 1)


def one_document() -> tuple[jax.Array, Positions]:
    x = jax.random.normal(jax.random.key(1), (2, S, 16))
    return x, Positions(jnp.ones((2, S), jnp.int32), jnp.tile(jnp.arange(S)[None], (2, 1)))


@pytest.mark.parametrize("name", slow_if(("llama3", "qwen3", "gemma2").__contains__, SHAPES))
def test_extend_equals_call(name):
    """Reading a row piece by piece through the cache gives what reading it at once gives."""
    model, (x, positions) = make(name), one_document()
    cache = model.empty(2, S, 7, None, jnp.float32)
    parts = in_parts(model, x, positions, cache, (7, 1, 3, 7, 1, 5), 7)
    np.testing.assert_allclose(parts, jax.jit(Transformer.__call__)(model, x, positions), atol=2e-5)


def test_a_ring_holds_what_is_seen():
    """A stack that looks back no further than a window keeps no more, and nothing is written over while it is seen."""
    model, (x, positions) = make("llama3", layer_kinds=("local",), window=5), one_document()
    cache = model.empty(2, S, 7, None, jnp.float32)
    assert cache.positions.segments_BxS.shape == (2, 5 + 7 - 1)
    parts = in_parts(model, x, positions, cache, (7, 1, 3, 7, 1, 5), 7)
    np.testing.assert_allclose(parts, model(x, positions), atol=2e-5)
    assert model.empty(2, 8, 7, None, jnp.float32).positions.segments_BxS.shape == (
        2,
        8,
    )  # never more than there can be


def test_units_of_a_known_length_need_a_short_ring():
    """Where positions see only their own unit, `reach` says how long one is at most."""
    model, (x, positions) = make("qwen3"), one_document()
    positions = Positions(positions.positions_BxS // 4, positions.positions_BxS)
    cache = model.empty(2, S, 3, 4, jnp.float32)
    assert cache.positions.segments_BxS.shape == (2, 6)
    np.testing.assert_allclose(in_parts(model, x, positions, cache, (3,) * 8, 3), model(x, positions), atol=2e-5)


def chain_of(*parts) -> Chain:
    return Chain(FrozenConfigDict(chain(*parts)), rngs=nnx.Rngs(0))


def test_a_chain_is_its_stacks_one_after_another():
    """Layers that are not alike, in one stack: at once and through the cache."""
    small = {"D": 16, "L": 1, "H": 2, "K": 2, "N": 8, "F": 24}
    parts = transformer(**small, final_norm="none"), transformer(**small, qk_norm="rms", feed_forward="plain")
    model, (x, positions) = chain_of(*parts), one_document()
    expected = model.stacks[1](model.stacks[0](x, positions), positions)
    np.testing.assert_allclose(jax.jit(Chain.__call__)(model, x, positions), expected, atol=2e-5)
    cache, read, outs = model.empty(2, S, 6, None, jnp.float32), jax.jit(Chain.extend), []
    for start in range(0, S, 6):
        part = jax.tree.map(lambda a, start=start: a[:, start : start + 6], positions)
        out, cache = read(model, x[:, start : start + 6], part, cache)
        outs.append(out)
    np.testing.assert_allclose(jnp.concatenate(outs, 1), expected, atol=2e-5)
    with pytest.raises(ValueError, match="takes nothing before its layers"):
        model(x, positions, (None, lambda _, x: x))


def test_unknown_kinds_of_stack():
    """A typing mistake in a config."""
    c = transformer()
    c.kind = "tower"
    with pytest.raises(ValueError, match="'tower'; there are transformer, chain"):
        make_stack(FrozenConfigDict(c), rngs=nnx.Rngs(0))


def test_queries_and_keys_are_normed_over_all_heads():
    """OLMo 2's norm sees all heads of a position at once: queries and keys of known size, before they are rotated."""
    model = make("llama3", qk_norm="rms_all", K=2, L=1)
    mixer = jax.tree.map(lambda a: a[0], model.layers).mixer
    x = jax.random.normal(jax.random.key(2), (2, 3, 16))
    zero = jnp.zeros((2, 3), jnp.int32)  # at position 0, nothing is rotated
    q, k, _ = mixer.project(x, Positions(zero, zero), "global")
    for found, weights in ((q, mixer.wq), (k, mixer.wk)):
        heads = np.einsum("BSD,DHN->BSHN", x, weights[...])
        size = np.sqrt(np.mean(heads**2, axis=(2, 3), keepdims=True) + model.c.norm_eps)
        np.testing.assert_allclose(found, heads / size, atol=1e-5)


def test_a_block_by_hand():
    """Layer norm before and after each sublayer, and two matrices with a gate on none: a few lines of numpy."""
    changes = {"L": 1, "pre_norms": "layer", "post_norms": "layer", "feed_forward": "plain", "activation": "relu"}
    model, (x, positions) = make("llama3", **changes), one_document()
    block = jax.tree.map(lambda a: a[0], model.layers)

    def layer_norm(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + model.c.norm_eps)

    feed_forward = block.feed_forward
    assert feed_forward.gate is None
    y = np.asarray(x)
    y = y + layer_norm(np.asarray(block.mixer(jnp.asarray(layer_norm(y)), positions, "global")))
    wide = np.maximum(layer_norm(y) @ np.asarray(feed_forward.up[...]), 0.0)
    y = y + layer_norm(wide @ np.asarray(feed_forward.down[...]))
    np.testing.assert_allclose(block(x, positions, "global"), y, atol=1e-4)


def test_a_block_without_a_feed_forward():
    """Only its mixer is left, and there are no parameters for what is not there."""
    model, (x, positions) = make("llama3", L=1, feed_forward="none"), one_document()
    block = jax.tree.map(lambda a: a[0], model.layers)
    expected = x + block.mixer(block.mixer_norm(x), positions, "global")
    np.testing.assert_allclose(block(x, positions, "global"), expected, atol=1e-6)
    names = {jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(block)}
    assert not any("feed_forward" in name for name in names)


def test_grouped_queries_equal_repeated_keys():
    """Sharing a key head among query heads is the same as giving each its own copy."""
    few, (x, positions) = make("llama3"), row()
    many = make("llama3", K=4)
    many.layers = make("llama3").layers
    many.layers.mixer.c = many.c
    for name in ("wk", "wv"):
        shared = getattr(few.layers.mixer, name)[...]
        setattr(many.layers.mixer, name, parameter("L D K N", jnp.repeat(shared, 2, axis=2)))
    np.testing.assert_allclose(many(x, positions), few(x, positions), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"H": 4, "K": 3}, "multiple of K"),
        ({"remat": "some"}, "'some'.*none, dots, full"),
        ({"layer_kinds": ("global", "wide")}, "wide"),
        ({"layer_kinds": ("local",), "window": 0}, "window"),
        ({"activation": "tanh"}, "'tanh'.*silu, gelu, relu"),
        ({"qk_norm": "all"}, "'all'; there are rms, layer, none"),
        ({"pre_norms": "batch"}, "unknown pre_norms 'batch'; there are rms, layer, none"),
        ({"feed_forward": "two"}, "'two'; there are gated, plain, none"),
        ({"mixer": "pool"}, "'pool'; there are attention, mamba2, mlstm"),
    ],
)
def test_settings_that_do_not_exist_are_named(changes, message):
    """A wrong setting fails when the model is made, with what would be right."""
    with pytest.raises(ValueError, match=message):
        make("llama3", **changes)
