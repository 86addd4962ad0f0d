"""Losses between models of different tokenizers: plain between equal ones, blind to how symbols are numbered."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pairs import (
    COVERING,
    LOSSES,
    OTHERS,
    TOGETHER,
    aligned_batch,
    losses_and_gradients,
    made_losses,
    model_of,
    pair_of,
    parameters_of,
    states_of,
    values_of,
)
from samples import Greedy, slow, slow_if

from lexitok import config as C
from lexitok.data.encoders import SubwordEncoder
from lexitok.distill.beginnings import BEGINS
from lexitok.distill.losses import make_loss
from lexitok.distill.losses.alm import merged
from lexitok.distill.losses.distributions import divergence
from lexitok.distill.losses.divergences import binary_divergence
from lexitok.distill.losses.gold import merged as merged_of_gold
from lexitok.distill.losses.uld import sorted_distance
from lexitok.distill.projection import projection
from lexitok.distill.span_logits import SpanLogits
from lexitok.interfaces.lexinvariant import RowsBound
from lexitok.ops.read_out.reference import logits
from lexitok.sharding import make_mesh
from lexitok.sharding.rows import put_rows


def parts(student: str, teacher: str, seed: int = 1):
    """Two models, a batch that both read, and their encoders."""
    (ours, a), (theirs, b) = model_of(student), model_of(teacher, seed)
    return ours, theirs, aligned_batch(a, b), (a, b)


def found_of(student: str, teacher: str, *sections, seed: int = 1):
    """What each section's loss comes to, and its gradient, in one program."""
    ours, theirs, batch, encoders = parts(student, teacher, seed)
    losses = {i: make_loss(section, *encoders) for i, section in enumerate(sections)}
    return list(losses_and_gradients(losses, ours, theirs, batch, encoders).values())


def assert_same(a, b, tolerance=3e-5):
    np.testing.assert_allclose(a[0], b[0], rtol=tolerance, atol=1e-6)
    for x, y in zip(jax.tree.leaves(a[1]), jax.tree.leaves(b[1]), strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance * max(1e-2, float(jnp.abs(y).max())))


def plain(name: str, temperature: float):
    """What a loss is between models of one tokenizer, from whole logits: a mean over the targets."""

    def loss(z_q, z_p, batch):
        targets, scored = batch.tokens.targets_BxS, batch.tokens.weights_BxS
        if name == "alm":
            logs = [jnp.take_along_axis(jax.nn.log_softmax(z), targets[..., None], -1)[..., 0] for z in (z_p, z_q)]
            values = binary_divergence("kl", temperature)(*logs)
        else:
            p, q = (jax.nn.log_softmax(z / temperature) for z in (z_p, z_q))
            m = jnp.logaddexp(p, q) - jnp.log(2.0)
            of = {
                "kl": lambda: _kl(p, q),
                "four times kl": lambda: 4 * _kl(p, q),
                "sorted": lambda: jnp.abs(jnp.sort(jnp.exp(p)) - jnp.sort(jnp.exp(q))).sum(-1),
                "reverse_kl": lambda: _kl(q, p),
                "jensen_shannon": lambda: (_kl(p, m) + _kl(q, m)) / 2,
            }
            values = of[name]()
        return jnp.sum(scored * values) / jnp.sum(scored)

    return loss


def _kl(a, b):
    return jnp.sum(jnp.exp(a) * (a - b), axis=-1)


EQUAL = {
    "alm": (C.alm(outcome="tokens", threshold=0.0, per="token", temperature=3.0), "alm", 3.0),
    "one_to_one": (C.one_to_one(top_k=0, divergence="kl", temperature=2.0, chunk=48), "kl", 2.0),
    "one_to_one, reverse": (C.one_to_one(top_k=0, divergence="reverse_kl", chunk=48), "reverse_kl", 1.0),
    "one_to_one, both": (C.one_to_one(top_k=0, divergence="jensen_shannon", chunk=48), "jensen_shannon", 1.0),
    "projected": (C.projected(temperature=2.0, chunk=48), "four times kl", 2.0),
    "hybrid": (C.hybrid(temperature=2.0, chunk=48), "four times kl", 2.0),
    "gold": (C.gold(chunk=48), "jensen_shannon", 1.0),
    "simct": (C.simct(chunk=48), "reverse_kl", 1.0),
    "byte_prefix": (C.byte_prefix(chunk=48), "kl", 1.0),
    "mined": (C.mined(temperature=2.0, chunk=48), "kl", 2.0),
    "uld": (C.uld(chunk=48), "sorted", 1.0),
}


@pytest.fixture(scope="module")
def between_equal_tokenizers():
    """Each loss of `EQUAL`, and its plain form, with gradients."""
    student, teacher, batch, encoders = parts("pairs", "pairs")
    losses = {name: make_loss(section, *encoders) for name, (section, _, _) in EQUAL.items()}
    found = losses_and_gradients(losses, student, teacher, batch, encoders)

    @jax.jit
    def plainly(student, teacher, batch):
        z_p = teacher.logits(batch)

        def values(at):
            z_q = logits(*at, 0.0)
            return jnp.stack([plain(*form)(z_q, z_p, batch) for _, *form in EQUAL.values()])

        at = states_of(student, batch)
        return values(at), jax.jacrev(values)(at)

    values, gradients = jax.device_get(plainly(student, teacher, batch))
    return found, {n: (values[i], jax.tree.map(lambda x, i=i: x[i], gradients)) for i, n in enumerate(EQUAL)}


@pytest.mark.parametrize("name", EQUAL)
def test_between_equal_tokenizers_it_is_the_plain_loss(between_equal_tokenizers, name):
    """Value and gradient, over every target: then what is measured between others is the loss and not the alignment."""
    found, expected = (of[name] for of in between_equal_tokenizers)
    assert expected[0] > 0.01
    assert_same(found, expected)


def test_a_model_that_is_its_own_teacher_has_nothing_to_learn():
    """The loss is 0, and so is its gradient."""
    for value, gradient in found_of("pairs", "pairs", LOSSES["alm"], LOSSES["hidden_states"], seed=0):
        np.testing.assert_allclose(value, 0, atol=2e-6)
        assert max(float(np.abs(x).max()) for x in jax.tree.leaves(gradient)) < 2e-3


def renumbered(kind: str, seed: int):
    """A model and its encoder under another numbering of its symbols."""
    model, encoder = model_of(kind, seed)
    vocabulary = encoder.vocabulary
    number = np.random.default_rng(5).permutation(vocabulary.size).astype(np.int32)
    back = np.argsort(number)
    table = model.interface.table
    moved = dataclasses.replace(
        vocabulary,
        token_bytes=tuple(vocabulary.token_bytes[i] for i in back),
        specials=frozenset(int(number[i]) for i in vocabulary.specials),
        **{name: int(number[getattr(vocabulary, name)]) for name in ("bos", "eot", "pad")},
    )
    leaves, tree = jax.tree.flatten(model)
    leaves = [x[back] if x.shape == table.shape and x.shape[0] == vocabulary.size else x for x in leaves]
    return jax.tree.unflatten(tree, leaves), SubwordEncoder(Greedy(moved)), number


def with_ids(tokens, number):
    """The tokens under another numbering."""
    number = jnp.asarray(number)
    return dataclasses.replace(tokens, symbols_BxS=number[tokens.symbols_BxS], targets_BxS=number[tokens.targets_BxS])


@functools.cache
def of_others(names):
    """Some losses between models of other tokenizers, and their gradients."""
    student, teacher, batch, encoders = parts("others", "pairs")
    return losses_and_gradients(made_losses(names, encoders), student, teacher, batch, encoders)


@pytest.mark.parametrize("names", TOGETHER, ids=["covering", "others"])
def test_how_symbols_are_numbered_is_no_matter(names):
    """Bytes say what a symbol is, and roles what a special is: a loss that compares by ids would differ."""
    batch = parts("others", "pairs")[2]
    (student, a, ours), (teacher, b, theirs) = renumbered("others", 0), renumbered("pairs", 1)
    other = dataclasses.replace(batch.others[0], tokens=with_ids(batch.others[0].tokens, theirs))
    batch = dataclasses.replace(batch, tokens=with_ids(batch.tokens, ours), others=(other,))
    found = values_of(made_losses(names, (a, b)), student, teacher, batch, (a, b))
    for name, (expected, _) in of_others(names).items():
        assert expected > 0.01 or name == "next_symbol"
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("names", TOGETHER, ids=["covering", "others"])
def test_where_there_is_next_to_nothing_to_compare(names):
    """Empty documents, and one byte, and rows without any: a number, and a gradient of numbers."""
    student, teacher, _, encoders = parts("others", "pairs")
    batch = aligned_batch(*encoders, documents=((b"", b""), (b"a", b""), (), ()))  # as large as others
    found = losses_and_gradients(made_losses(names, encoders), student, teacher, batch, encoders)
    for name, (value, gradient) in found.items():
        assert np.isfinite(value), name
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient)), name


@pytest.mark.parametrize("student", slow_if(("bytes", "hat_v2").__contains__, ["bytes", "hat_v2", "others"]))
def test_alm_is_the_sum_over_spans_that_it_says(student):
    """Span by span in numpy: log-probabilities of the bytes up to where both tokenisations end, each with the mass of
    what begins something new; merged until the teacher gives this a tenth, and not beyond a piece or its text."""
    ours, theirs, batch, encoders = parts(student, "pairs")
    loss = make_loss(C.alm(divergence="kl", temperature=2.0), *encoders)

    @jax.jit
    def of(ours, theirs, batch):
        pair = pair_of(ours, theirs, batch, encoders)
        return loss.compare(pair).mean, pair.student.found, pair.teacher.found

    value, *sides = jax.device_get(of(ours, theirs, batch))
    batch = jax.device_get(batch)
    aligned = (
        (batch.others[0].alignment.of_first_BxS, batch.tokens, sides[0]),
        (batch.others[0].alignment.of_second_BxT, batch.others[0].tokens, sides[1]),
    )
    pairs_of_logs = []
    for row in range(len(batch.others[0].alignment.of_first_BxS)):
        chunk, whole = np.zeros(2), True
        for span in range(batch.others[0].alignment.spans):
            at = [np.flatnonzero(of[row] == span) for of, _, _ in aligned]
            if not all(len(i) for i in at):
                assert not any(len(i) for i in at)
                continue
            begins, reads = [], []
            for side, (i, (_, tokens, found)) in enumerate(zip(at, aligned, strict=True)):
                chunk[side] -= found.nll_BxS[row, i].sum()
                after = min(i[-1] + 1, tokens.segments_BxS.shape[1] - 1)
                reads.append(i[-1] + 1 == after and tokens.segments_BxS[row, after] == tokens.segments_BxS[row, i[-1]])
                begins.append(found.log_mass_BxSxG[row, after, BEGINS])
            special = batch.tokens.bytes_BxS[row, at[0]].sum() == 0
            whole &= special or all(reads)
            following = [np.flatnonzero(of[row] == span + 1) for of, _, _ in aligned]
            ends_text = len(following[0]) and batch.tokens.bytes_BxS[row, following[0]].sum() == 0
            if special or not reads[1] or ends_text or np.exp(begins[1]) > 0.1:
                if whole:
                    pairs_of_logs.append(chunk + (0 if special else np.array(begins)))
                chunk, whole = np.zeros(2), True
    logs = np.array(pairs_of_logs)
    p, q = np.exp(logs[:, 1] / 2), np.exp(logs[:, 0] / 2)
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert len(logs) > 10
    np.testing.assert_allclose(value, expected.mean(), rtol=1e-3)


def test_chunks_end_where_the_teacher_says():
    """The example of the reference: boundaries 1 0 1 1 0 1 0 make groups 0 1 1 2 3 3 4, and a special is alone."""
    ours, theirs, batch, encoders = parts("bytes", "bytes")
    pair = pair_of(ours, theirs, batch, encoders)
    count = int((batch.tokens.segments_BxS[0] == 1).sum())
    mass = np.full((*batch.tokens.symbols_BxS.shape, 2), -5.0, np.float32)
    mass[0, 1 + np.array([0, 2, 3, 5]), BEGINS] = np.log(0.5)
    found = dataclasses.replace(pair.teacher.found, log_mass_BxSxG=jnp.asarray(mass))
    pair = dataclasses.replace(pair, teacher=dataclasses.replace(pair.teacher, found=found))
    chunks = merged(pair, 0.1)
    assert chunks.of_BxK[0, :7].tolist() == [0, 1, 1, 2, 3, 3, 4]
    of = np.asarray(chunks.of_BxK[0])
    assert (
        (of[6 : count - 1] == 4).all() and of[count - 1] == 5 and of[count] == 6
    )  # the text's rest, eot, what is next


@pytest.mark.parametrize(
    ("names", "of"),
    [
        (("alm", "one_to_one of all", "byte_prefix", "dskd"), COVERING),  # one of each way to go over logits
        *slow((COVERING, COVERING), (OTHERS, OTHERS)),
    ],
    ids=["ways", "covering", "others"],
)
def test_the_mesh_does_not_matter(names, of):
    """Value and gradient, where rows are split over devices."""
    student, teacher, batch, encoders = parts("others", "pairs")
    with jax.set_mesh(make_mesh(data=2, fsdp=2, tensor=2)):
        rows = put_rows(jax.device_get(batch))
        found = losses_and_gradients(made_losses(names, encoders), student, teacher, rows, encoders)
    for name in names:
        assert_same(found[name], of_others(of)[name])


def test_chunks_of_spans_change_nothing():
    """How many spans' logits are held at once is a question of memory."""
    assert_same(*found_of("others", "pairs", *(C.one_to_one(top_k=5, chunk=chunk) for chunk in (5, 500))))


def test_a_chooser_takes_its_own():
    """With one symbol there is nothing to compare, and the likely ones of one model are not those of the other."""
    sections = [C.one_to_one(top_k=k, chooser=by) for k, by in ((1, "student"), (4, "student"), (4, "teacher"))]
    alone, few, teachers = (value for value, _ in found_of("others", "pairs", *sections))
    assert alone == 0 and few > 0 and abs(few - teachers) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_differences_in_float64(name, monkeypatch):
    """What is float32 elsewhere is float64 here, where a difference of two values says what a gradient is."""
    monkeypatch.setattr(jnp, "float32", jnp.float64)
    if name == "dskd":  # where a gradient is stopped on purpose, it is no slope
        monkeypatch.setattr(jax.lax, "stop_gradient", lambda x: x)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        student, teacher, batch, encoders = parts("others", "pairs")
        loss = make_loss(LOSSES[name], *encoders)
        parameters = parameters_of(loss, student, teacher)

        def mean(at):
            return loss(pair_of(student, teacher, batch, encoders, jnp.float64, at), parameters).mean

        at = [x.astype(jnp.float64) for x in states_of(student, batch)]
        keys = jax.random.split(jax.random.key(0), len(at))
        along = [jax.random.normal(key, x.shape, x.dtype) for key, x in zip(keys, at, strict=True)]
        value = jax.jit(mean)
        there, back = (value(jax.tree.map(lambda x, v, h=h: x + h * v, at, along)) for h in (1e-7, -1e-7))
        slope = sum(map(jnp.vdot, jax.jit(jax.grad(mean))(at), along))
        assert there.dtype == jnp.float64
        np.testing.assert_allclose((there - back) / 2e-7, slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (C.alm(divergence="l1"), "unknown divergence 'l1'"),
        (C.alm(outcome="words"), "unknown outcome 'words'; there are tokens, bytes"),
        (C.alm(threshold=1.5), "a probability, not 1.5"),
        (C.alm(per="byte"), "not 'byte'"),
        (C.one_to_one(divergence="js"), "unknown divergence 'js'"),
        (C.one_to_one(chooser="both"), "unknown chooser 'both'"),
        (C.one_to_one(temperature=0.0), "temperature 0.0"),
        (C.one_to_one(beta=1.0), "beta 1.0"),
        (C.projected(temperature=-1.0), "temperature -1.0"),
        (C.hybrid(temperature=0.0), "temperature 0.0"),
        (C.gold(merge="observed"), "unknown merge 'observed'; there are last, legacy"),
        (C.byte_prefix(divergence="reverse_kl"), "unknown divergence 'reverse_kl'; there are kl, jensen_shannon"),
        (C.byte_prefix(depth=0), "depth 0"),
        (C.mined(temperature=0.0), "temperature 0.0"),
        (C.dskd(divergence="l1"), "unknown divergence 'l1'"),
        (C.dskd(temperature=0.0), "temperature 0.0"),
        (C.uld(temperature=0.0), "temperature 0.0"),
        (C.table(), "unknown loss 'table'"),
    ],
)
def test_settings_that_there_are_not_are_named(section, message):
    """Before anything is computed."""
    encoder = model_of("pairs")[1]
    with pytest.raises(ValueError, match=message):
        make_loss(section, encoder, encoder)


@pytest.mark.slow
def test_a_matrix_that_learns_begins_as_the_one_that_does_not():
    """In value and in the student's gradient; its own moves weights among the parts of a symbol, and nothing else."""
    ours, theirs, batch, encoders = parts("others", "pairs")
    still, moving = (make_loss(C.projected(learn=learn), *encoders) for learn in (False, True))
    assert_same(*losses_and_gradients({"moving": moving, "still": still}, ours, theirs, batch, encoders).values())
    matrix = projection(*encoders)

    @jax.jit
    def by_weights(weights, ours, theirs, batch):
        return jax.grad(lambda weights: moving(pair_of(ours, theirs, batch, encoders), weights).mean)(weights)

    weights = moving.parameters(nnx.Rngs(0), 1, 1)
    np.testing.assert_allclose(weights(matrix.student), matrix.weights, rtol=1e-5)
    gradient = by_weights(weights, ours, theirs, batch).logs[...]
    of_symbol = jax.ops.segment_sum(gradient, matrix.student, encoders[0].vocabulary.size)
    parts_of_symbol = np.bincount(matrix.student)[matrix.student]
    assert float(jnp.abs(gradient[parts_of_symbol > 1]).max()) > 1e-6
    np.testing.assert_allclose(of_symbol, 0, atol=1e-6)


@pytest.mark.parametrize(("merge", "expected"), [("last", [0.12, 0.30, 0.18]), ("legacy", [0.30, 0.15, 0.05])])
def test_gold_merges_as_published(merge, expected):
    """Both of the public code's ways to make one distribution of two, from its own test; one position is as it is."""
    logits = jnp.log(jnp.array([[[[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], [[0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]]]))
    side = SpanLogits(logits, jnp.array([[[0, 1], [0, 0]]]), jnp.array([[[True, True], [True, False]]]))
    np.testing.assert_allclose(merged_of_gold(side, merge, 1.0), [[expected, [0.1, 0.1, 0.8]]], atol=1e-6)


def test_divergences_are_those_of_the_reference():
    """Jensen-Shannon by its weight, and sorted sizes, from numbers that were computed apart."""
    p, q = jnp.array([0.2, 0.2, 0.6]), jnp.array([0.5, 0.3, 0.2])
    for beta, expected in ((0.5, 0.0905658), (0.1, 0.0346373)):
        found = divergence("jensen_shannon", jnp.log(p), jnp.log(q), beta)
        assert found == pytest.approx(expected, rel=1e-5)
    assert sorted_distance(q, jnp.array([0.1, 0.6, 0.2, 0.1])) == pytest.approx(0.4, rel=1e-6)


def test_symbols_that_leave_by_no_table_are_refused():
    """Whole logits of a span are computed from one table."""
    student, teacher, batch, encoders = parts("pairs", "pairs")
    pair = pair_of(student, teacher, batch, encoders)
    read = dataclasses.replace(pair.student.read, bound=RowsBound(lambda ids: ids, 16, 269, 0.0))
    pair = dataclasses.replace(pair, student=dataclasses.replace(pair.student, read=read))
    with pytest.raises(ValueError, match="through one table; a RowsBound has none"):
        make_loss(C.uld(), *encoders).compare(pair)
