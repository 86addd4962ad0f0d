"""Symbols without an identity: what defines them, exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from first_occurrence import by_first_occurrence
from flax import nnx

from lexitok import config as C
from lexitok.data.batch import Batch, Tokens
from lexitok.interfaces import make_interface
from lexitok.interfaces.lexinvariant import row_choices, row_vectors
from lexitok.models.build import evaluated
from lexitok.models.token_lm import TokenLM
from lexitok.ops.read_out import Query

B, S, V, D = 3, 24, 40, 16
RNG = np.random.default_rng(0)
SEEDS = jnp.asarray([5, 6, 5], jnp.int32)


def a_batch(symbols) -> Batch:
    shape = (B, S)
    tokens = Tokens(
        symbols_BxS=jnp.asarray(symbols[:, :-1]),
        targets_BxS=jnp.asarray(symbols[:, 1:]),
        weights_BxS=jnp.ones(shape, jnp.float32),
        bytes_BxS=jnp.ones(shape, jnp.int32),
        segments_BxS=jnp.ones(shape, jnp.int32),
        positions_BxS=jnp.broadcast_to(jnp.arange(S, dtype=jnp.int32), shape),
        units=None,
    )
    return Batch(tokens, SEEDS)


def text():
    return RNG.integers(0, 12, (B, S + 1)).astype(np.int32)


def make_model(interface) -> TokenLM:
    c = C.token_lm()
    c.interface = interface
    c.backbone = C.transformer(D=D, L=2, H=2, K=1, N=8, F=24)
    return TokenLM(c, V, dtype=jnp.float32, rngs=nnx.Rngs(0))


@jax.jit
def logits_and_nll(model, batch):
    return model.logits(batch), model.read_out(batch)[0].nll_BxS


def test_a_symbol_has_one_vector_in_a_row_and_another_in_every_other():
    """The definition: the same symbol always the same vector within a row, fresh from each row's seed."""
    symbols = jnp.asarray([[3, 7, 3], [3, 7, 3], [7, 3, 3]])
    vectors = np.asarray(row_vectors(SEEDS, symbols, D))
    np.testing.assert_array_equal(vectors[0, 0], vectors[0, 2])
    np.testing.assert_array_equal(vectors[0, 0], vectors[2, 1])  # rows with the same seed
    assert abs(np.corrcoef(vectors[0, 0], vectors[1, 0])[0, 1]) < 0.9
    assert (vectors[0, 0] != vectors[0, 1]).all() and (vectors[0, 0] != vectors[1, 0]).all()


def test_vectors_are_gaussian_and_nearly_orthogonal():
    """The scale of logits rests on it: squared norms are near D, inner products near 0."""
    ids = jnp.arange(400, dtype=jnp.int32)[None]
    vectors = np.asarray(row_vectors(jnp.asarray([1], jnp.int32), ids, 64))[0]
    gram = vectors @ vectors.T / 64
    off = gram[~np.eye(400, dtype=bool)]
    assert abs(np.diag(gram).mean() - 1) < 0.02 and abs(off.mean()) < 0.005 and abs(off.std() - 1 / 8) < 0.01
    assert abs(vectors.mean()) < 0.02 and abs((vectors**4).mean() - 3) < 0.15


@pytest.mark.parametrize("kind", ["lexinvariant", "semi_lexinvariant"])
def test_the_read_out_is_tied_to_what_enters(kind):
    """A hidden vector that is a symbol's own must score highest for that symbol, by about sqrt(D)."""
    interface = make_interface(getattr(C, kind)(), V, D, nnx.Rngs(0))
    ids = jnp.broadcast_to(jnp.arange(V, dtype=jnp.int32), (B, V))
    logits = np.asarray(interface.bind(SEEDS).logits(interface.bind(SEEDS).embed(ids, jnp.float32)))
    own = np.diagonal(logits, axis1=1, axis2=2)
    assert own.mean() == pytest.approx(D**0.5, rel=0.15)
    vectors = np.asarray(interface.bind(SEEDS).embed(ids, jnp.float32))
    np.testing.assert_allclose(logits, np.einsum("BSD,BVD->BSV", vectors, vectors) / D**0.5, atol=1e-4)


def test_scores_are_those_of_the_logits():
    """The loss in blocks, and whole logits, are one distribution."""
    model, batch = make_model(C.lexinvariant(softcap=5.0)), a_batch(text())
    logits, nll = logits_and_nll(model, batch)
    log_p = np.asarray(jax.nn.log_softmax(logits))
    np.testing.assert_allclose(
        np.asarray(nll),
        -np.take_along_axis(log_p, np.asarray(batch.tokens.targets_BxS)[..., None], -1)[..., 0],
        atol=1e-5,
    )
    assert np.abs(np.asarray(logits)).max() <= 5.0


def test_permuting_the_alphabet_permutes_predictions():
    """Lexinvariance, exactly: with vectors assigned by first occurrence, renaming symbols changes nothing but names."""
    model, symbols = make_model(C.lexinvariant()), text()
    pi = RNG.permutation(V).astype(np.int32)
    batch, renamed = a_batch(symbols), a_batch(pi[symbols])
    plain, ranks = by_first_occurrence(batch, V)
    permuted, ranks_of_renamed = by_first_occurrence(renamed, V)
    logits, nll = logits_and_nll(model, plain)
    other_logits, other_nll = logits_and_nll(model, permuted)
    np.testing.assert_array_equal(np.asarray(nll), np.asarray(other_nll))
    p = np.take_along_axis(np.asarray(logits), ranks[:, None, :], axis=2)
    q = np.take_along_axis(np.asarray(other_logits), ranks_of_renamed[:, None, :], axis=2)
    for b in range(B):
        seen = np.unique(symbols[b])
        np.testing.assert_array_equal(p[b][:, seen], q[b][:, pi[seen]])
    assert (np.asarray(batch.tokens.symbols_BxS) != np.asarray(renamed.tokens.symbols_BxS)).any()
    assert np.abs(np.asarray(nll) - np.asarray(logits_and_nll(model, batch)[1])).max() > 1e-3  # other vectors


def test_a_learned_table_is_not_lexinvariant():
    """The test above must be able to fail."""
    model, symbols = make_model(C.table()), text()
    model.interface.head[...] *= 30.0
    pi = RNG.permutation(V).astype(np.int32)
    a, b = (np.asarray(logits_and_nll(model, a_batch(x))[1]) for x in (symbols, pi[symbols]))
    assert np.abs(a - b).max() > 0.1


def test_first_occurrence_numbers_by_prefixes_alone():
    """The number of a symbol must say nothing of what comes after it."""
    symbols = np.array([[5, 5, 2, 5, 9, 2, 0, 1]], np.int32)
    tokens = Tokens(jnp.asarray(symbols[:, :-1]), jnp.asarray(symbols[:, 1:]), *(None,) * 5)
    batch = Batch(tokens, jnp.zeros(1, jnp.int32))
    renamed, ranks = by_first_occurrence(batch, 10)
    np.testing.assert_array_equal(np.asarray(renamed.tokens.symbols_BxS), [[0, 0, 1, 0, 2, 1, 3]])
    np.testing.assert_array_equal(np.asarray(renamed.tokens.targets_BxS), [[0, 1, 0, 2, 1, 3, 4]])
    assert sorted(ranks[0]) == list(range(10)) and ranks[0][[5, 2, 9, 0, 1]].tolist() == [0, 1, 2, 3, 4]


def test_semi_lexinvariant_is_between_both():
    """Symbols are random with the probability that is set; with 0 the vectors are the learned ones, with 1 none is."""
    ids = jnp.broadcast_to(jnp.arange(V, dtype=jnp.int32), (B, V))
    found = {}
    for chance in (0.0, 0.3, 1.0):
        interface = make_interface(C.semi_lexinvariant(random=chance), V, D, nnx.Rngs(0))
        vectors = np.asarray(interface.bind(SEEDS).embed(ids, jnp.float32))
        found[chance] = (vectors == np.asarray(interface.table[...])[None]).all(-1)
    assert found[0.0].all() and not found[1.0].any()
    assert 0.5 < found[0.3].mean() < 0.9 and (found[0.3][0] != found[0.3][1]).any()
    chosen = np.asarray(row_choices(jnp.arange(50, dtype=jnp.int32), jnp.broadcast_to(ids[:1], (50, V)), 0.2))
    assert abs(chosen.mean() - 0.2) < 0.03


def test_semi_lexinvariant_learns_and_is_evaluated_without_noise():
    """A regulariser: the table gets gradients where it is used, and evaluation sees learned vectors alone."""
    model, batch = make_model(C.semi_lexinvariant(random=0.5)), a_batch(text())
    grad = jax.jit(jax.grad(lambda model: model.read_out(batch)[0].nll_BxS.sum()))(model).interface.table[...]
    used = (~np.asarray(row_choices(SEEDS, jnp.broadcast_to(jnp.arange(V, dtype=jnp.int32), (B, V)), 0.5))).any(0)
    np.testing.assert_array_equal(np.asarray(jnp.abs(grad).sum(1) > 0), used)
    assert evaluated(model).interface.random == 0.0 and model.interface.random == 0.5
    np.testing.assert_array_equal(evaluated(model).interface.table[...], model.interface.table[...])


def test_no_tensor_of_rows_by_symbols_by_width_exists():
    """32 rows of a vocabulary of 32,768 at width 1,024 would take 4.3 GB; the compiled step stays far below."""
    rows, length, V, D = 32, 16, 32768, 1024
    interface = jax.eval_shape(lambda: make_interface(C.semi_lexinvariant(), V, D, nnx.Rngs(0)))

    def loss(interface, h, symbols, seeds):
        h = h + interface.bind(seeds).embed(symbols, jnp.float32)
        return interface.bind(seeds).read_out(h, Query(symbols)).nll_BxS.sum()

    shape = jax.ShapeDtypeStruct
    args = (shape((rows, length, D), jnp.float32), shape((rows, length), jnp.int32), shape((rows,), jnp.int32))
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1), allow_int=True)).lower(interface, *args).compile()
    whole = rows * V * D * 4
    assert compiled.memory_analysis().temp_size_in_bytes < whole / 4
    assert f"{rows},{V},{D}" not in compiled.as_text()


def test_chances_that_cannot_be():
    """A probability is named when it is none."""
    with pytest.raises(ValueError, match="interface.random is 1.5; it is a probability"):
        make_interface(C.semi_lexinvariant(random=1.5), V, D, nnx.Rngs(0))
