"""Rows that are made of spellings: what they begin as, that ids mean nothing, and what is learned."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from spelled import SOURCE, TARGET, D, filled, interface, section, small_stack, tables_of, tokenizer

from lexitok.data.spelling import Spelled, Spelling
from lexitok.interfaces import pin
from lexitok.interfaces.bound import loss_of
from lexitok.interfaces.hypernetwork import as_table
from lexitok.interfaces.hypernetwork.lexical import KINDS, lexical_loss
from lexitok.parameter_names import merge, split
from lexitok.sharding import make_mesh, state_shardings
from lexitok.text.matching import NONE
from lexitok.training.state import is_fixed
from lexitok.transfer.methods import make_method
from lexitok.transfer.provenance import MADE, UNMATCHED
from lexitok.transfer.rows import init_embeddings


@jax.jit
def of_bound(interface, h, ids, spelling=None):
    """Logits, vectors and the loss of an interface that is bound."""
    bound = interface.bind(jnp.zeros(1, jnp.int32), spelling)
    return bound.logits(h), bound.embed(ids, jnp.float32), loss_of(bound)


@pytest.mark.parametrize(
    ("heuristic", "other", "tied"),
    [("mean", "first", "no"), ("last", "front_loaded", "no"), ("by_length", "by_length", "yes")],
)
def test_it_begins_as_its_heuristic(tmp_path, heuristic, other, tied):
    """Rows of the same bytes and of specials to the last bit, as those of one part; sums to rounding."""
    made = interface(section(tmp_path, tied=tied, heuristic_in=heuristic, heuristic_out=other), TARGET)
    table, head = made.frozen_source.table[...], made.frozen_source.head
    expected = init_embeddings(
        SOURCE,
        TARGET,
        np.asarray(table),
        None if head is None else np.asarray(head[...]),
        method_in=make_method(heuristic),
        method_out=None if head is None else make_method(other),
    )
    found = tables_of()(made, made.own)
    assert (found.leaving_VxD is None) == (expected.leaving is None) == (tied == "yes")
    sides = [(found.entering_VxD, expected.entering)]
    sides += [] if expected.leaving is None else [(found.leaving_VxD, expected.leaving)]
    for rows, wanted in sides:
        kind = wanted.provenance.kind_V
        assert (kind == MADE).sum() == 3 and (kind == UNMATCHED).sum() == 4
        single = (np.asarray(made.own.parts_VxP) != NONE).sum(1) == 1
        np.testing.assert_array_equal(rows[single], wanted.rows_VxD[single])
        np.testing.assert_allclose(rows, wanted.rows_VxD, rtol=1e-5, atol=1e-6)
    assert found.lexical == 0


@pytest.mark.parametrize("form", ["residual", "published"])
def test_numbers_of_tokens_mean_nothing(tmp_path, form):
    """The rows of a vocabulary in another order are the same rows in that order."""
    made = filled(interface(section(tmp_path, form=form), TARGET))
    order = np.random.default_rng(1).permutation(TARGET.vocabulary.size)
    found = tables_of()(made, made.own)
    again = tables_of()(made, Spelling(made.own.parts_VxP[order], made.own.language))
    for rows, other in zip(found[:2], again[:2], strict=True):
        np.testing.assert_allclose(other, np.asarray(rows)[order], atol=1e-5)
    assert np.unique(np.asarray(found.entering_VxD).round(4), axis=0).shape[0] == TARGET.vocabulary.size - 3


def test_room_behind_the_parts_changes_nothing(tmp_path):
    """A batch's vocabulary has room for the longest token that there may be."""
    made = filled(interface(section(tmp_path), TARGET))
    parts = np.asarray(made.own.parts_VxP)
    assert parts.shape[1] == 3  # of the longest token
    wide = np.pad(parts, ((0, 0), (0, 2)), constant_values=NONE)
    found, again = (tables_of()(made, Spelling(p, made.own.language)) for p in (parts, wide))
    np.testing.assert_allclose(again.leaving_VxD, found.leaving_VxD, atol=1e-5)


@pytest.mark.parametrize("form", ["residual", "published"])
def test_specials_keep_their_rows_and_what_has_none_gets_the_mean(tmp_path, form):
    """Whatever was learned: a special's row is not made of its spelling."""
    made = filled(interface(section(tmp_path, form=form), TARGET))
    rows, source = np.asarray(tables_of()(made, made.own).entering_VxD), made.frozen_source.table[...]
    np.testing.assert_array_equal(rows[:3], source[:3])
    np.testing.assert_allclose(rows[-4:], np.broadcast_to(source.mean(0), (4, D)), atol=1e-5)
    assert (np.abs(rows[3:6] - source[3:6]).max(1) > 1e-3).all()


def test_the_source_itself_is_the_base_model(tmp_path):
    """Without a file, the text's tokens are the source's: at the start logits are those of its table, bit for bit."""
    c = section(None, source={**section(None).source, "embed_scale": 3.0, "softcap": 2.0})
    made = interface(c, SOURCE)
    h, ids = jax.random.normal(jax.random.key(0), (1, 5, D)), jnp.arange(5, dtype=jnp.int32)[None] * 50
    found, plain = of_bound(made, h, ids), of_bound(made.frozen_source, h, ids)
    jax.tree.map(np.testing.assert_array_equal, found, plain)
    assert found[2] == 0


def test_a_batch_may_have_another_vocabulary(tmp_path):
    """Its symbols are then those, as many as they are."""
    made = filled(interface(section(tmp_path), TARGET))
    other = tokenizer(b"cats", b"thin")
    spelling = Spelled(SOURCE, 6)(other.vocabulary)
    h, ids = jax.random.normal(jax.random.key(0), (1, 2, D)), jnp.array([[5, 260]], jnp.int32)
    found = of_bound(made, h, ids, spelling)
    expected = of_bound(filled(interface(section(tmp_path), other)), h, ids)
    assert found[0].shape == (1, 2, other.vocabulary.size)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)
    with pytest.raises(ValueError, match=r"in up to 7 parts, and there are 6 places \(interface.parts\)"):
        tables_of()(made, Spelling(np.full((2, 7), NONE, np.int32), np.int32(0)))
    with pytest.raises(TypeError, match="reads a Spelling, and the batch has a dict"):
        made.bind(jnp.zeros(1, jnp.int32), {})


def test_an_id_that_the_source_has_not_is_no_number(tmp_path):
    """It would be some other token's row, and nobody would know."""
    made = interface(section(tmp_path), TARGET)
    parts = np.array([[3, NONE], [SOURCE.vocabulary.size, NONE]], np.int32)
    rows = np.asarray(tables_of()(made, Spelling(parts, np.int32(0))).entering_VxD)
    assert np.isfinite(rows[0]).all() and np.isnan(rows[1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [{"data": 2, "fsdp": 2, "tensor": 2}, {"data": 1, "fsdp": 8}])
def test_the_mesh_does_not_matter(tmp_path, mesh):
    """268 tokens do not divide by 8; every device gets its share, and no row and no gradient depends on that."""
    made = filled(interface(section(tmp_path), tokenizer(b"inner", size=267)))

    @jax.jit
    def of(made):
        def loss(made):
            tables = made.tables(made.own)
            return jnp.sum(jnp.sin(tables.entering_VxD) + jnp.cos(tables.leaving_VxD)) + tables.lexical

        return made.tables(made.own), jax.grad(loss, allow_int=True)(made).network.enter.project

    alone = jax.device_get(of(made))
    with jax.set_mesh(make_mesh(**mesh)) as _:
        split = jax.device_put(made, state_shardings(made, make_mesh(**mesh)))
        found = jax.device_get(of(split))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), alone, found)


def test_the_stack_may_be_bfloat16(tmp_path):
    """What it adds is rounded, the base model's rows are not; tables are float32."""
    made = filled(interface(section(tmp_path), TARGET))
    c = section(tmp_path, compute_dtype="bfloat16")
    rough = filled(interface(c, TARGET))
    found, rounded = (tables_of()(m, m.own).entering_VxD for m in (made, rough))
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, found, atol=0.1)
    at_start = interface(c, TARGET)
    exact = interface(section(tmp_path), TARGET)
    np.testing.assert_array_equal(*(tables_of()(m, m.own).entering_VxD for m in (at_start, exact)))


def test_languages_have_vectors(tmp_path):
    """Rows differ by language, and there is none beyond the last."""
    made = filled(interface(section(tmp_path, languages=2, language=1), TARGET))
    rows = [tables_of()(made, Spelling(made.own.parts_VxP, jnp.int32(n))).entering_VxD for n in (0, 1, 2)]
    np.testing.assert_array_equal(rows[1], tables_of()(made, made.own).entering_VxD)
    assert np.abs(rows[0] - rows[1])[3:].max() > 1e-3 and np.isnan(rows[2][3:]).any()


def test_a_window_of_one_lets_no_part_see_another(tmp_path):
    """As tokenkit's, without attention: what is added to a row is the first part's."""
    stack = small_stack(layer_kinds=("local",), window=1)
    made = filled(interface(section(tmp_path, stack=stack, heuristic_in="first"), TARGET))
    parts = np.array([[259, NONE], [259, 262]], np.int32)
    rows = tables_of()(made, Spelling(parts, jnp.int32(0))).entering_VxD
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_lexical_loss_is_the_distance_to_the_source(kind):
    """Over tokens that the source has, in mean lengths of its rows; its gradient is a number where they are equal."""
    rng = np.random.default_rng(0)
    rows, source = rng.normal(size=(2, 5, 3)).astype(np.float32)
    rows[0] = source[0]
    shared = np.array([True, True, False, True, False])
    known = jnp.asarray(rows), jnp.asarray(source), jnp.asarray(shared)
    away = np.linalg.norm(rows - source, axis=1)[shared] / np.linalg.norm(source, axis=1)[shared].mean()
    expected = {"rmse": away, "mse": away**2, "huber": np.where(away < 1, away**2 / 2, away - 0.5)}[kind].mean()
    found, gradient = jax.value_and_grad(lexical_loss)(*known, kind)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(gradient).all() and (np.asarray(gradient)[[0, 2, 4]] == 0).all()
    assert lexical_loss(*known[:2], jnp.zeros(5, bool), kind) == 0


def test_the_table_of_a_vocabulary_can_be_kept(tmp_path):
    """As a learned table of the base model's kind: the same model, that makes nothing any more."""
    made = filled(interface(section(tmp_path, tied="yes"), TARGET))
    table, h, ids = as_table(made), jax.random.normal(jax.random.key(0), (1, 2, D)), jnp.array([[5, 260]], jnp.int32)
    kept, found = of_bound(table, h, ids), of_bound(made, h, ids)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), kept[:2], found[:2])
    assert table.head is None and table.vocabulary_size == TARGET.vocabulary.size


@pytest.mark.slow
def test_it_can_learn_the_rows_of_64_tokens():
    """ZeTT's form begins with nothing of the source, and finds its rows again from what it is told of them."""
    c = section(None, form="published", tied="yes", stack=small_stack(D=32, F=64))
    made = interface(c, SOURCE)
    spelling = Spelling(np.arange(3, 67, dtype=np.int32)[:, None], np.int32(0))
    wanted = made.frozen_source.table[...][3:67]
    fixed, trained = split(made, is_fixed)
    optimizer = optax.adam(3e-3)

    def loss(trained):
        rows = merge(trained, fixed).tables(spelling).entering_VxD
        return jnp.mean(jnp.square(rows - wanted)) / jnp.var(wanted)

    @jax.jit
    def run(trained):
        def step(carry, _):
            trained, state = carry
            value, grads = jax.value_and_grad(loss)(trained)
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(trained, updates), state), value

        return jax.lax.scan(step, (trained, optimizer.init(trained)), None, length=300)[1]

    losses = np.asarray(run(trained))
    assert losses[0] > 0.5 and losses[-1] < 0.02, losses[[0, -1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "other"}, "unknown interface.form 'other'; there are residual, published"),
        ({"heuristic_out": "median"}, "unknown interface.heuristic_out 'median'"),
        ({"lexical": {"weight": 1.0, "kind": "l3"}}, "unknown interface.lexical.kind 'l3'"),
        ({"parts": 0}, "interface.parts is 0"),
        ({"language": 1}, "interface.language is 1, and there are 0"),
        ({"vocabulary": "nowhere.model"}, "the base model's tokenizer cannot be read: .*nowhere.model"),
        ({"vocabulary_fingerprint": "ab" * 32}, "has the fingerprint .*was made for the tokens of abab"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path, changes, message):
    """Before anything is trained."""
    with pytest.raises(ValueError, match=message):
        interface(section(tmp_path, **changes), TARGET)


def test_a_section_knows_its_source_by_its_tokens(tmp_path):
    """A run writes it down; another tokenizer in that file later is refused, where the model is made."""
    c = section(tmp_path).unlock()
    c.run, c.vocabulary = str(tmp_path), ""
    (tmp_path / "vocabulary.model").write_bytes(SOURCE.to_bytes())
    pin(c)
    assert c.vocabulary_fingerprint == SOURCE.vocabulary.fingerprint and c.vocabulary.endswith("vocabulary.model")
    (tmp_path / "vocabulary.model").write_bytes(tokenizer(b"other").to_bytes())
    with pytest.raises(ValueError, match="has the fingerprint"):
        interface(c, TARGET)
