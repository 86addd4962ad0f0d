"""The stack: what it sees, how it is computed, and that none of the ways to compute it changes the result."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import FrozenConfigDict

from lexitok.config import transformer
from lexitok.nn.cache import KVCache
from lexitok.nn.transformer import Transformer
from lexitok.ops.attention import Places

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


def row() -> tuple[jax.Array, Places]:
    x = jax.random.normal(jax.random.key(1), (2, S, 16))
    segments = jnp.array([[1] * 10 + [2] * 14, [1] * 24])
    positions = jnp.array([[*range(10), *range(14)], [*range(24)]])
    return x, Places(segments, positions)


@pytest.mark.parametrize("name", SHAPES)
def test_causality_by_gradient(name):
    """An output depends on its own and earlier positions of its segment, and on nothing else."""
    model, (x, places) = make(name), row()
    jacobian = jax.jit(jax.jacrev(lambda x: model(x, places)[0].sum(-1)))(x)  # [S, B, S, D]
    reach = np.abs(np.asarray(jacobian)).sum(-1)
    assert (reach[:, 1] == 0).all()
    t, s = np.indices((S, S))
    same = np.asarray(places.segments_BxS)[0][:, None] == np.asarray(places.segments_BxS)[0][None]
    np.testing.assert_array_equal(reach[:, 0] > 0, (s <= t) & same)


@pytest.mark.parametrize(("name", "remat"), [("llama3", "full"), ("gemma3", "dots"), ("gemma3", "full")])
def test_remat_changes_nothing(name, remat):
    """What the backward pass recomputes is a question of memory only."""
    x, places = row()

    def loss(model):
        return jnp.square(model(x, places)).sum()

    plain, again = (jax.jit(jax.value_and_grad(loss))(make(name, remat=r)) for r in ("none", remat))
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_scan_equals_a_loop_over_layers(name):
    """Stacking and scanning, with layer kinds that do not divide the layers, is the same as one block after another."""
    model, (x, places) = make(name), row()
    kinds = model.c.layer_kinds
    expected = x
    for i in range(model.c.L):
        block = jax.tree.map(lambda a, i=i: a[i], model.layers)
        expected = block(expected, places, kinds[i % len(kinds)])
    np.testing.assert_allclose(model(x, places), model.norm(expected), atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("chunk", [1, 7])
def test_extend_equals_call(name, chunk):
    """Reading a row piece by piece through the cache gives what reading it at once gives."""
    model, (x, places) = make(name), row()
    cache = KVCache.empty(model.c, 2, S, jnp.float32)
    extend = jax.jit(Transformer.extend)
    outs = []
    for start in range(0, S, chunk):
        at = slice(start, min(start + chunk, S))
        part = Places(places.segments_BxS[:, at], places.positions_BxS[:, at])
        slots = jnp.broadcast_to(jnp.arange(S)[None, at], part.segments_BxS.shape)
        out, cache = extend(model, x[:, at], part, cache, slots)
        outs.append(out)
    np.testing.assert_allclose(jnp.concatenate(outs, 1), model(x, places), atol=2e-5)


def test_grouped_queries_equal_repeated_keys():
    """Sharing a key head among query heads is the same as giving each its own copy."""
    few, (x, places) = make("llama3"), row()
    many = make("llama3", K=4)
    many.layers = make("llama3").layers
    many.layers.attention.c = many.c
    for name in ("wk", "wv"):
        shared = getattr(few.layers.attention, name)[...]
        setattr(many.layers.attention, name, nnx.Param(jnp.repeat(shared, 2, axis=2)))
    np.testing.assert_allclose(many(x, places), few(x, places), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"H": 4, "K": 3}, "multiple of K"),
        ({"remat": "some"}, "'some'.*none, dots, full"),
        ({"layer_kinds": ("global", "wide")}, "wide"),
        ({"layer_kinds": ("local",), "window": 0}, "window"),
        ({"activation": "relu"}, "'relu'.*silu, gelu"),
        ({"qk_norm": "layer"}, "'layer'"),
    ],
)
def test_settings_that_do_not_exist_are_named(changes, message):
    """A wrong setting fails when the model is made, with what would be right."""
    with pytest.raises(ValueError, match=message):
        make("llama3", **changes)
