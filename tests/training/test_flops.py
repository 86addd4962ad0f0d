"""FLOPs counted from traced programs, against closed formulas and counts by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict
from samples import FAMILY, Pairs, slow_if, small_config

from lexitok import config as C
from lexitok.data.batch import Batch, Budget, empty_batch
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.models.build import model_for, model_maker
from lexitok.ops.attention import IMPLEMENTATIONS, Positions, attention
from lexitok.sharding import make_mesh
from lexitok.training.flops import forward_flops, training_flops
from lexitok.training.products import FlopsError, count
from lexitok.training.setup import make_setup

V = 260
X, W = jax.ShapeDtypeStruct((4, 8), jnp.float32), jax.ShapeDtypeStruct((8, 8), jnp.float32)
ONE = 2 * 4 * 8 * 8  # FLOPs of X @ W


def abstract_batch(B: int, S: int, units: int) -> Batch:
    budget = Budget(S, units or None, pad=0)
    return empty_batch(B, budget, array=lambda shape, _, dtype: jax.ShapeDtypeStruct(shape, dtype))


def abstract_model(c: ConfigDict):
    return jax.eval_shape(lambda: model_maker(c, V)(nnx.Rngs(0)))


def stack_flops(c: ConfigDict, positions: int) -> float:
    """The closed formula of a stack's forward pass over a row."""
    linear = c.D * (c.H + 2 * c.K) * c.N + c.H * c.N * c.D + 3 * c.D * c.F
    total = 2.0 * c.L * positions * linear
    for layer in range(c.L):
        kind = c.layer_kinds[layer % len(c.layer_kinds)]
        seen = min(c.window, positions / 2) if kind == "local" else positions / 2
        total += 4.0 * positions * c.H * c.N * seen
    return total


def formula(kind: str, m: ConfigDict, S: int, units: int) -> float:
    """The closed formula of a model's forward pass over a row: linear maps, attention, read-out."""
    if kind == "bytes":
        return stack_flops(m.backbone, S) + 2 * S * m.backbone.D * V
    m = m.stage
    D, E = m.backbone.D, m.encoder.D
    total = stack_flops(m.encoder, S) + stack_flops(m.decoder, S) + stack_flops(m.backbone, units) + 2 * S * E * V
    if kind == "hat_v1":  # the slot projected up, the guide projected down
        return total + 2.0 * units * E * D + 2.0 * units * D * E
    pool = 2.0 * (S * 2 * E * D + units * D * D)
    return total + pool + 2.0 * units * m.decoder.L * (D * E + E * E)


def sized(kind: str, size: str) -> ConfigDict:
    c = small_config(kind)
    if size == "small":
        return c
    m = c.model if kind == "bytes" else c.model.stage
    m.backbone = C.transformer(D=64, L=3, H=4, K=2, N=16, F=176, layer_kinds=("local", "global"), window=24)
    if kind != "bytes":
        m.encoder.update(D=32, L=1, H=4, K=4, N=8, F=96)
        m.decoder.update(D=32, L=3, H=4, K=4, N=8, F=96)
    return c


@pytest.mark.parametrize("kind", ["bytes", "hat_v1", "hat_v2"])
@pytest.mark.parametrize(("size", "S", "units"), [("small", 128, 64), ("wide", 96, 32), ("wide", 1500, 300)])
def test_counts_agree_with_closed_formulas(kind, size, S, units):
    """Two independent derivations of the same number: a program walked, and a formula written from the architecture.

    The program has more in two places. HAT v2's pool multiplies keys with one query (`2·S·D`) and makes that query
    (`2·D²`); every unpool also projects the vector of positions without a guide (one unit more).
    """
    c, B = sized(kind, size), 2
    counted = training_flops(abstract_model(c), abstract_batch(B, S, 0 if kind == "bytes" else units)) / 3
    more = 0.0
    m = c.model if kind == "bytes" else c.model.stage
    if kind == "hat_v1":
        more = B * 2.0 * m.backbone.D * m.decoder.D
    if kind == "hat_v2":
        D, E = m.backbone.D, m.decoder.D
        more = B * (2.0 * S * D + 2.0 * m.decoder.L * (D * E + E * E)) + 2.0 * D * D
    assert counted == pytest.approx(B * formula(kind, c.model, S, units) + more, rel=1e-9)
    assert more < 0.04 * counted


@pytest.mark.parametrize("kind", slow_if(lambda kind: kind not in ("hat_v2", "hnet"), FAMILY))
def test_every_model_for_the_family_is_counted(kind):
    """A comparison at equal FLOPs needs those of all. The stacks at the rate of bytes and the read-out are a floor."""
    c = small_config(kind)
    encoder = make_encoder(c.text, Pairs() if needs_tokenizer(c.text) else None)
    model = jax.eval_shape(model_for(c, encoder), nnx.Rngs(0))
    counted = training_flops(model, abstract_batch(2, 128, 64))
    weights = [model.stage.encoder, model.stage.decoder]
    matrices = [leaf.size for leaf in jax.tree.leaves(weights) if leaf.ndim > 2]
    assert counted >= 3 * 2 * 2 * 128 * (sum(matrices) + model.interface.head.size)
    assert counted > training_flops(model, abstract_batch(2, 128, 32)) or c.text.splitter == "model"


def test_frozen_parts_cost_less():
    """Frozen maps have no gradient of their own, and pass one on to what is below them; attention has no weights."""

    def flops(*frozen: str) -> float:
        c = sized("hat_v2", "wide")
        c.optimizer.frozen = frozen
        c.data.rows = 8
        setup = make_setup(c)
        return training_flops(setup, abstract_batch(8, 96, 32))

    c = sized("hat_v2", "wide").model.stage.backbone
    maps = c.D * (c.H + 2 * c.K) * c.N + c.H * c.N * c.D + 3 * c.D * c.F
    assert flops() - flops("stage.backbone") == pytest.approx(8 * 2.0 * c.L * 32 * maps, rel=1e-9)
    assert flops("stage", "interface") == pytest.approx(flops() / 3, rel=1e-9)


def test_a_model_that_is_asked_and_not_trained_is_counted_once():
    """The entropies of a router's own model have no backward pass."""
    c = small_config("blt")
    model = jax.eval_shape(model_for(c, make_encoder(c.text, None)), nnx.Rngs(0))
    batch = abstract_batch(2, 128, 64)
    asked = forward_flops(
        lambda router, batch: router.entropies(
            batch.tokens.symbols_BxS, Positions(batch.tokens.segments_BxS, batch.tokens.positions_BxS)
        ),
        model.stage.router,
        batch,
    )
    whole = forward_flops(lambda model, batch: model.read_out(batch), model, batch)
    assert 0 < asked < whole
    assert training_flops(model, batch) == pytest.approx(3 * whole - 2 * asked, rel=1e-9)


def test_what_depends_on_what_is_trained():
    """Through loops, branches and calls; not through integers."""

    def products(program, *trained: bool) -> float:
        return count(jax.make_jaxpr(program)(X, W, W).jaxpr, trained).flops / ONE

    assert products(lambda x, w, v: x @ w @ v, False, False, False) == 2
    assert products(lambda x, w, v: x @ w @ v, False, True, False) == 2 + 2
    assert products(lambda x, w, v: x @ w @ v, False, False, True) == 1 + 2
    assert products(lambda x, w, v: x @ w @ v, True, True, True) == 3 + 3
    assert products(lambda x, w, v: jax.nn.one_hot((x @ w).argmax(1), 8) @ v, False, True, False) == 2 + 1

    def looped(x, w, v):
        x, _ = jax.lax.scan(jax.checkpoint(lambda x, _: (x @ w, None)), x, None, length=5)
        return jax.lax.cond(x.sum() > 0, lambda x: x @ v, lambda x: x, x)

    assert products(looped, False, True, False) == 5 * 3 + 2
    assert products(looped, False, False, True) == 5 * 1 + 2


def test_every_kind_of_program_is_entered():
    """A product that hides in a loop, a branch or a rule of differentiation would make a model look cheap."""

    @jax.custom_vjp
    def ruled(x, w):
        return x @ w

    ruled.defvjp(lambda x, w: (x @ w @ w, (x, w)), lambda held, g: (g, held[1]))

    def program(x, w):
        step = jax.checkpoint(lambda x, _: (jnp.tanh(x @ w), None))
        x, _ = jax.lax.scan(step, x, None, length=5)
        x = jax.lax.fori_loop(0, 3, lambda _, x: x @ w, x)
        x = jax.lax.cond(x.sum() > 0, lambda x: x @ w @ w, lambda x: x @ w, x)
        x = jax.lax.while_loop(lambda x: x.sum() > 0, lambda x: x - 1, x)  # multiplies nothing
        return jax.jit(ruled)(jax.nn.relu(x), w)

    assert forward_flops(program, X, W) == (5 + 3 + 2 + 1) * ONE


def test_batched_products_and_convolutions():
    """Batch axes, groups and strides change the count, and are easy to get wrong."""
    a, b = jax.ShapeDtypeStruct((3, 5, 7, 2), jnp.float32), jax.ShapeDtypeStruct((3, 2, 7, 9), jnp.float32)
    assert forward_flops(lambda a, b: jnp.einsum("bikh,bhkj->bhij", a, b), a, b) == 2 * 3 * 2 * 5 * 9 * 7
    x, kernel = jax.ShapeDtypeStruct((2, 16, 6), jnp.float32), jax.ShapeDtypeStruct((4, 1, 6), jnp.float32)

    def depthwise(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (2,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=6
        )

    assert forward_flops(depthwise, x, kernel) == 2 * (2 * 7 * 6) * 4


def test_what_cannot_be_counted_is_refused():
    """A wrong number is worse than none."""

    def until(x, w):
        return jax.lax.while_loop(lambda x: x.sum() > 0, lambda x: x @ w, x)

    with pytest.raises(FlopsError, match="unknown length"):
        forward_flops(until, X, W)
    with pytest.raises(FlopsError, match="'cholesky' has no count"):
        forward_flops(jnp.linalg.cholesky, W)


def test_a_map_over_devices_counts_all_of_them():
    """Shapes within a map are of one device; work that devices repeat is not the model's."""
    mesh = make_mesh(data=2, fsdp=2, tensor=2)
    split = jax.shard_map(
        lambda x, w: x @ w, mesh=mesh, in_specs=(P(("data", "fsdp")), P()), out_specs=P(("data", "fsdp"))
    )
    assert forward_flops(split, X, W) == ONE


@pytest.mark.parametrize("implementation", [name for name in IMPLEMENTATIONS if name != "cudnn"])
def test_attention_is_counted_by_what_is_seen(implementation):
    """Models must not look dearer or cheaper by how attention is computed: all implementations count the same."""
    B, S, H, N, window = 2, 2048, 4, 8, 100
    q, kv = (jax.ShapeDtypeStruct((B, S, heads, N), jnp.float32) for heads in (H, 2))
    at = jax.ShapeDtypeStruct((B, S), jnp.int32)

    def op(q, k, v, at, **settings):
        return attention(q, k, v, Positions(at, at), scale=1.0, implementation=implementation, **settings)

    def count(**settings):
        return forward_flops(lambda *x: jax.checkpoint(lambda *x: op(*x, **settings))(*x), q, kv, kv, at)

    assert count(window=window) == 4 * B * S * H * N * window
    assert count(window=window, scope="full") == 4 * B * S * H * N * window
    if implementation != "blocked":
        assert count() == 4 * B * S * H * N * S / 2
        assert count(scope="full") == 4 * B * S * H * N * S


def test_attention_under_vmap_is_counted_for_every_copy():
    """Ensembles and stacked models are mapped."""
    q, at = jax.ShapeDtypeStruct((3, 2, 16, 4, 8), jnp.float32), jax.ShapeDtypeStruct((2, 16), jnp.int32)

    def op(q, at):
        return jax.vmap(lambda q: attention(q, q, q, Positions(at, at), scale=1.0))(q)

    assert forward_flops(op, q, at) == 3 * 4 * 2 * 16 * 4 * 8 * 8


def test_nothing_is_allocated_and_arrays_do_too():
    """A count of a model for a pod is made on a laptop; a notebook has arrays."""
    huge = jax.ShapeDtypeStruct((2**20, 2**20), jnp.float32)
    assert forward_flops(lambda a: a @ a, huge) == 2.0 * 2**60
    assert forward_flops(lambda a: a @ a, np.ones((3, 3), np.float32)) == 54


def test_what_nothing_is_made_of_is_not_counted():
    """The compiler leaves it out, too: a teacher that no loss looks at costs nothing."""
    assert forward_flops(lambda x, w: (x @ w, x)[1], X, W) == 0
    assert forward_flops(lambda x, w: x @ w, X, W) == ONE
