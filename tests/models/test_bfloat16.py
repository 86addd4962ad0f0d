"""What may not be bfloat16 where a model computes in it: sums over positions, and what decides where units end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from programs import equations
from samples import KINDS, Pairs, slow, slow_if, small_config

from lexitok import config as C
from lexitok.data.batch import Batch, Tokens, Units
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.interfaces import make_interface
from lexitok.made import is_made
from lexitok.models.build import model_for
from lexitok.ops.attention import Positions
from lexitok.parameter_names import merge, split

ROUTED = ("hnet", "hnet_two", "blt", "bolmo")
POSITIONS = 1 << 15
MOST = 32  # terms of a sum in bfloat16: a unit's bytes, heads, offsets; not the positions of a batch


def abstract_batch(S: int, units: bool) -> Batch:
    def array(dtype=jnp.int32):
        return jax.ShapeDtypeStruct((1, S), dtype)

    of_units = Units(array(), array(), array(), array()) if units else None
    tokens = Tokens(array(), array(), array(jnp.float32), array(), array(), array(), of_units)
    return Batch(tokens, jax.ShapeDtypeStruct((1,), jnp.int32))


def abstract_model(kind: str):
    c = small_config(kind)
    c.model.compute_dtype = "bfloat16"
    encoder = make_encoder(c.text, Pairs() if needs_tokenizer(c.text) else None)
    return jax.eval_shape(model_for(c, encoder), nnx.Rngs(0))


@pytest.mark.parametrize("kind", slow_if(lambda kind: kind not in ("bytes", "hat_v2", "hnet"), KINDS))
def test_sums_over_positions_are_float32(kind):
    """In bfloat16, a sum of more than 256 equal terms stands still: the most frequent bytes would learn the least."""

    def loss(parameters, made, batch):
        found, extras = merge(parameters, made).read_out(batch)
        return jnp.sum(found.nll_BxS * batch.tokens.weights_BxS) + extras.loss

    model, batch = abstract_model(kind), abstract_batch(POSITIONS, kind != "bytes")
    made, parameters = split(model, is_made)
    program = jax.make_jaxpr(jax.grad(loss))(parameters, made, batch).jaxpr
    wrong = []
    for e in equations(program):
        if e.primitive.name not in ("scatter-add", "reduce_sum", "cumsum") or e.outvars[0].aval.dtype != jnp.bfloat16:
            continue
        terms = e.invars[2 if e.primitive.name == "scatter-add" else 0].aval.size / e.outvars[0].aval.size
        if terms > MOST:
            wrong.append(f"{terms:.0f} terms: {e.primitive.name} {[v.aval.str_short() for v in e.invars]}")
    assert not wrong, wrong


@pytest.mark.parametrize(
    "section", [C.table(tied="yes"), C.semi_lexinvariant(), *slow((C.table(),), (C.table(table_rows=130),))]
)
def test_the_gradient_of_a_table_is_a_float32_sum(section):
    """As frequent as symbols of text are: of the gradient of a space, half was lost."""
    V, S, D = 260, 1 << 16, 8
    interface = make_interface(section, V, D, nnx.Rngs(0))
    rng = np.random.default_rng(0)
    symbols = np.minimum(rng.zipf(1.3, (1, S)) - 1, V - 1).astype(np.int32)
    cotangent = jnp.asarray(rng.normal(1.0, 1.0, (1, S, D)), jnp.bfloat16)

    def of(interface):
        embedded = interface.bind(jnp.zeros(1, jnp.int32)).embed(jnp.asarray(symbols), jnp.bfloat16)
        return jnp.sum((embedded * cotangent).astype(jnp.float32))

    if hasattr(interface, "evaluated"):
        interface = interface.evaluated()
    found = np.asarray(jax.jit(jax.grad(of))(interface).table[...])
    expected = np.zeros(found.shape)
    np.add.at(expected, symbols[0] % len(found), np.asarray(cotangent[0], np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ROUTED)
def test_routers_are_float32_by_product(kind):
    """Accelerators round the operands of float32 products to fewer bits, unless they are told not to; here the shapes
    of units hang on the result."""
    model, batch = abstract_model(kind), abstract_batch(64, True)
    tokens, E = batch.tokens, model.stage.c.encoder.D if "D" in model.stage.c.encoder else 12
    h = jax.ShapeDtypeStruct((1, 64, E), jnp.bfloat16)

    def decide(router, h, symbols, segments, positions):
        at = Positions(segments, positions)
        return router.chances(h) if kind == "bolmo" else router(h, symbols, at).ends_BxS

    args = (h, tokens.symbols_BxS, tokens.segments_BxS, tokens.positions_BxS)
    program = jax.make_jaxpr(decide)(model.stage.router, *args).jaxpr
    products = [e for e in equations(program) if e.primitive.name == "dot_general"]
    assert products
    for e in products:
        assert e.invars[0].aval.dtype == jnp.float32
        assert e.params["precision"] == (jax.lax.Precision.HIGHEST,) * 2


def test_an_id_out_of_range_is_no_other_symbol():
    """A vector of some other symbol would train and evaluate without a word."""
    interface = make_interface(C.table(), 10, 4, nnx.Rngs(0))
    found = interface.bind(jnp.zeros(1, jnp.int32)).embed(jnp.array([[9, 10, 300]]), jnp.float32)
    assert np.isfinite(found[0, 0]).all() and np.isnan(found[0, 1:]).all()
