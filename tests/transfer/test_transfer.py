"""A new tokenizer for a trained model: what must be equal is equal, to the last bit."""

import json

import jax
import numpy as np
import pytest
import scipy.sparse
from flax import nnx
from greedy import SOURCE, WORDS, Greedy, rows
from samples import batch_of_ids

from lexitok import config as C
from lexitok.models.token_lm import TokenLM
from lexitok.nn.parameters import parameter
from lexitok.sharding import make_mesh
from lexitok.text.matching import NONE, MatchError, match
from lexitok.text.parts import parts_of
from lexitok.text.vocabulary import Encoding, Vocabulary
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import METHODS, Problem, make_method, name_of
from lexitok.transfer.methods.hypernetwork import Predicted, PredictedSide
from lexitok.transfer.methods.neighbours import Neighbours, sparsemax
from lexitok.transfer.model import transfer
from lexitok.transfer.provenance import COPIED, MADE, SPECIAL, UNMATCHED
from lexitok.transfer.rows import init_embeddings

EYE = scipy.sparse.eye_array(SOURCE.vocabulary.size, format="csr")
SIDE = PredictedSide(rows(SOURCE, D=16), rows(SOURCE, D=16), scipy.sparse.csr_array(EYE))
COMPOSED = ("mean", "first", "last", "front_loaded", "by_length")
OF_SOURCE = {  # what methods are given that compare, count or translate the source's own tokens
    "vectors_VxA": rows(SOURCE),
    "source_vectors_UxA": rows(SOURCE),
    "counts_U": np.arange(SOURCE.vocabulary.size),
    "translations_VxU": EYE,
    "predicted": Predicted(SIDE, SIDE, SOURCE.vocabulary.fingerprint),
}


def token_model(tokenizer, tied="no"):
    c = C.token_lm()
    c.compute_dtype = "float32"
    c.interface.tied = tied
    c.backbone = C.transformer(D=16, L=1, H=2, K=2, N=8, F=16)
    from ml_collections import FrozenConfigDict

    return TokenLM(FrozenConfigDict(c), tokenizer.vocabulary.size, dtype=np.float32, rngs=nnx.Rngs(params=0))


logits_of = jax.jit(lambda model, rows: model.logits(rows))


@pytest.mark.parametrize("said", METHODS)
@pytest.mark.parametrize("tied", ["no", "yes"])
def test_the_same_tokenizer_gives_the_same_model(said, tied):
    """Whatever the method, it has nothing to make."""
    model = token_model(SOURCE, tied)
    done = transfer(model, SOURCE, SOURCE, method_in=make_method(said, **OF_SOURCE))
    for a, b in zip(jax.tree.leaves(done.model), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(a, b)
    kinds = done.tables.entering.provenance.kind_V
    assert set(kinds.tolist()) == {COPIED, SPECIAL} and (done.tables.leaving is None) == (tied == "yes")


def test_a_renumbered_vocabulary_renumbers_the_logits():
    """Ids mean nothing: texts have the same probabilities under any numbering, specials included."""
    order = np.random.default_rng(3).permutation(SOURCE.vocabulary.size)
    target = Greedy(WORDS, order=order.tolist())
    model = token_model(SOURCE)
    done = transfer(model, SOURCE, target, method_in=make_method("mean")).model
    text = b"the cat in the hat 123\xff"
    before = logits_of(model, batch_of_ids(SOURCE.encode(text).ids[None]))
    after = logits_of(done, batch_of_ids(target.encode(text).ids[None]))
    np.testing.assert_allclose(after, np.asarray(before)[..., order], atol=1e-5)


def test_adding_tokens_leaves_the_logits_of_others_alone():
    """Where the text does not have them, nothing changes but the normaliser."""
    target = Greedy((*WORDS, b" hat", b"inner"))
    model = token_model(SOURCE)
    done = transfer(model, SOURCE, target, method_in=make_method("mean"), method_out=make_method("first")).model
    ids = SOURCE.encode(b"the cat in 123").ids[None]
    assert (target.encode(b"the cat in 123").ids == ids[0]).all()
    before, after = logits_of(model, batch_of_ids(ids)), logits_of(done, batch_of_ids(ids))
    np.testing.assert_allclose(np.asarray(after)[..., : SOURCE.vocabulary.size], before, atol=1e-6)


@pytest.mark.parametrize(
    ("said", "weights"),
    [
        ("mean", {b"in": 1 / 3, b"n": 1 / 3, b"er": 1 / 3}),
        ("first", {b"in": 1.0}),
        ("last", {b"er": 1.0}),
        ("front_loaded(decay=0.5)", {b"in": 4 / 7, b"n": 2 / 7, b"er": 1 / 7}),
        ("front_loaded(decay=0)", {b"in": 1.0}),
        ("front_loaded(decay=1)", {b"in": 1 / 3, b"n": 1 / 3, b"er": 1 / 3}),
        ("by_length", {b"in": 2 / 5, b"n": 1 / 5, b"er": 2 / 5}),
    ],
)
def test_rows_are_what_the_provenance_says(said, weights):
    """Of each token, the combination of the source's rows that is written down is its row."""
    target = Greedy((*WORDS, b"inner", b"aa"))
    table = rows(SOURCE)
    made = init_embeddings(SOURCE, target, table, None, method_in=make_method(said)).entering
    provenance = made.provenance
    np.testing.assert_allclose(provenance.weights_VxU @ table, made.rows_VxD, atol=1e-6)
    new = target.vocabulary.token_bytes.index(b"inner")
    found = {SOURCE.vocabulary.token_bytes[i]: weight for i, weight in provenance.of(new)}
    assert found == pytest.approx({token: weight for token, weight in weights.items() if weight})
    assert provenance.of(new + 1) == [(3 + ord("a"), pytest.approx(1.0))]  # of two equal parts
    assert (provenance.kind_V == MADE).sum() == 2


def test_in_and_out_may_have_methods_of_their_own():
    """What a token is followed by, its last part says; what begins it, the first."""
    target = Greedy((*WORDS, b"inner"))
    table_in, table_out = rows(SOURCE), rows(SOURCE, seed=1)
    made = init_embeddings(
        SOURCE, target, table_in, table_out, method_in=make_method("last"), method_out=make_method("first")
    )
    ids = {token: i for i, token in enumerate(SOURCE.vocabulary.token_bytes)}
    np.testing.assert_array_equal(made.entering.rows_VxD[-1], table_in[ids[b"er"]])
    np.testing.assert_array_equal(made.leaving.rows_VxD[-1], table_out[ids[b"in"]])


def test_a_prefix_is_no_part():
    """A tokenizer that puts a space before its text makes of `ing` in the middle of a word what it makes of ` ing`."""
    source = Greedy((*WORDS, b" in"), prefix=True)
    names = source.vocabulary.token_bytes
    tokens = [b" the", b"the", b"er", b" ", b"  the", b"\xff\xfe", b"in", b"inner", b" inn"]
    parts = parts_of(tokens, source)
    for number, token in enumerate(tokens):
        ids = parts.ids[parts.starts[number] : parts.starts[number + 1]]
        assert b"".join(names[i] for i in ids) == token and len(ids)
    assert parts.counts.tolist() == [1, 1, 1, 1, 2, 2, 1, 3, 2]


def test_specials_go_by_role_and_by_name_and_by_map():
    """A row of the wrong special breaks every chat; one that nobody has may not be zeros, whose logit is 0."""
    target = Greedy((*WORDS, b"inner"), specials=("<s>", "</s>", "<pad>", "<|im_start|>", "<unused>"))
    table = rows(SOURCE)
    made = init_embeddings(SOURCE, target, table, None, method_in=make_method("mean"), specials={3: 1}).entering
    assert made.provenance.kind_V[:5].tolist() == [SPECIAL, SPECIAL, SPECIAL, SPECIAL, UNMATCHED]
    np.testing.assert_array_equal(made.rows_VxD[:4], table[[0, 1, 2, 1]])
    np.testing.assert_allclose(made.rows_VxD[4], table.mean(0), atol=1e-6)
    found = match(SOURCE.vocabulary, target.vocabulary)
    assert found.ids_V[3] == NONE and found.unmatched.tolist() == [3, 4] and found.new.tolist() == [5 + 256 + 9]
    with pytest.raises(MatchError, match="special 9 -> 1: 9 is to be a special of the target"):
        match(SOURCE.vocabulary, target.vocabulary, {9: 1})


def test_two_ids_of_a_byte_keep_apart():
    """A piece `a` and the token of byte fallback for it are two tokens, with two rows."""
    twice = Greedy((*WORDS, b"a"))
    found = match(twice.vocabulary, twice.vocabulary)
    assert (found.ids_V == np.arange(twice.vocabulary.size)).all()
    assert match(SOURCE.vocabulary, twice.vocabulary).ids_V[-1] == 3 + ord("a")


def test_gaussian_rows_have_the_moments_of_the_others():
    """Mean and covariance, not only the deviation of each element; and the same for the same seed."""
    target = Greedy((*WORDS, *(b"%05d" % i for i in range(3000))))
    table = rows(SOURCE, D=3) @ np.array([[1, 0.5, 0], [0, 1, 0], [0.2, 0, 0.3]], np.float32) + np.float32(2)

    def made(seed, said="gaussian"):
        found = init_embeddings(SOURCE, target, table, None, method_in=make_method(said), seed=seed).entering
        return found.rows_VxD[found.provenance.kind_V == MADE]

    text = table[SOURCE.vocabulary.lengths > 0]
    np.testing.assert_allclose(made(0).mean(0), text.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(made(0).T), np.cov(text.T), atol=0.12)
    np.testing.assert_array_equal(made(1), made(1))
    assert (made(0) != made(1)).all()
    np.testing.assert_allclose(made(0, "gaussian(scale=0)"), np.broadcast_to(text.mean(0), (3000, 3)), atol=1e-6)


def test_neighbours_are_those_of_the_other_space():
    """Against a loop over all; of equal vectors the whole weight is shared; a token without a vector gets all alike."""
    target = Greedy((*WORDS, b"inner", b" hat"))
    table, vectors = rows(SOURCE), rows(target, D=4, seed=5)
    V = target.vocabulary.size
    for method in (Neighbours(vectors), Neighbours(vectors, "softmax", most=3, temperature=0.1)):
        made = init_embeddings(SOURCE, target, table, None, method_in=method).entering
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for token in (V - 2, V - 1):
            shared = np.arange(3, V - 2)
            scores = unit[shared] @ unit[token] / method.temperature
            order = np.argsort(-scores)[: method.most or None]
            if method.weighting == "softmax":
                weights = np.exp(scores[order] - scores.max())
                weights /= weights.sum()
            else:
                weights = _nearest_probabilities(scores[order])
            np.testing.assert_allclose(made.rows_VxD[token], weights @ table[shared[order]], atol=1e-5)
            assert np.isclose(sum(weight for _, weight in made.provenance.of(token)), 1.0)


def _nearest_probabilities(scores):
    """By bisection of the threshold."""
    low, high = scores.min() - 1, scores.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(scores - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(scores - low, 0)


def test_sparsemax_is_a_projection():
    """Known values: far apart all goes to one, equal scores share."""
    found = sparsemax(np.array([[2.0, 0.5, 0.0], [1.0, 1.0, 1.0], [0.6, 0.4, -1.0]]))
    np.testing.assert_allclose(found, [[1, 0, 0], [1 / 3] * 3, [0.6, 0.4, 0]], atol=1e-12)


def test_the_provenance_can_be_read(tmp_path):
    """One line a token, that says in words where its row comes from."""
    target = Greedy((*WORDS, "\x85\u2028".encode(), b"inner", b"\xff\xfe"))
    made = init_embeddings(SOURCE, target, rows(SOURCE), None, method_in=make_method("front_loaded")).entering
    made.provenance.write(tmp_path / "rows.jsonl", SOURCE.vocabulary, target.vocabulary)
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(lines) == target.vocabulary.size and lines[0] == {
        "id": 0, "token": "<s>", "kind": "special", "from": [[0, "<s>", 1.0]],
    }  # fmt: skip
    inner = lines[-2]
    assert inner["method"] == "front_loaded(decay=0.5)" and [name for _, name, _ in inner["from"]] == ["in", "n", "er"]
    assert lines[-1]["token"] == "\\xff\\xfe"


def test_what_cannot_be_transferred_is_refused():
    """Each is named, before anything is made."""
    mean, table = make_method("mean"), rows(SOURCE)
    other = Greedy(WORDS)
    other.vocabulary = Vocabulary((b"", b"zz"), frozenset({0}), 0, 0, 0)
    with pytest.raises(MatchError, match="share no token"):
        init_embeddings(SOURCE, other, table, None, method_in=mean)
    with pytest.raises(MatchError, match=r"ids \[268, 269\] all stand for b'xx'"):
        init_embeddings(SOURCE, Greedy((*WORDS, b"xx", b"xx")), table, None, method_in=mean)
    with pytest.raises(TransferError, match="has 267 rows, and the source's tokenizer 268 ids"):
        init_embeddings(SOURCE, SOURCE, table[1:], None, method_in=mean)
    table[7, 2] = np.nan
    with pytest.raises(TransferError, match="rows_in: row 7 is not finite"):
        init_embeddings(SOURCE, SOURCE, table, None, method_in=mean)
    with pytest.raises(TransferError, match="the model is tied"):
        init_embeddings(SOURCE, SOURCE, rows(SOURCE), None, method_in=mean, method_out=mean)
    few = Greedy(())
    few.vocabulary = Vocabulary((b"", b"a"), frozenset({0}), 0, 0, 0)
    few.encode = lambda data: Encoding(np.zeros(0, np.int32), np.zeros(0, np.int32), lossy=True)
    with pytest.raises(MatchError, match="no tokens of the source spell b'the'"):
        parts_of([b"the"], few)
    with pytest.raises(TransferError, match="only a model with a learned table can be transferred"):
        transfer(object(), SOURCE, SOURCE, method_in=mean)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("median", "unknown method 'median'; there are mean, first"),
        ("front_loaded(rate=1)", "has no setting 'rate=1'; it has decay"),
        ("front_loaded(decay=much)", "front_loaded: decay cannot be 'much'"),
        ("front_loaded(decay=2)", "decay is 2.0; it is from 0"),
        ("neighbours", "'neighbours' needs vectors_VxA"),
    ],
)
def test_methods_are_named_right(said, message):
    """As settings of an experiment are."""
    with pytest.raises(TransferError, match=message):
        make_method(said)


def test_every_method_is_written_as_it_is_read():
    """Its name stands in the provenance, and has to make the same again."""
    for name in METHODS:
        made = make_method(name, **OF_SOURCE)
        assert name_of(make_method(name_of(made), **OF_SOURCE)) == name_of(made)
        assert type(make_method(name_of(made), **OF_SOURCE)) is type(made)


@pytest.mark.parametrize("mesh", [{"data": 2, "fsdp": 2, "tensor": 2}, {"data": 1, "fsdp": 8}])
def test_the_mesh_does_not_matter(mesh):
    """A table that is split is read whole, and the new one is split again; bfloat16 tables stay so."""
    target = Greedy((*WORDS, b"inner"))
    model = token_model(SOURCE)
    model.interface.table = parameter("V D", model.interface.table[...].astype(jax.numpy.bfloat16))
    expected = transfer(model, SOURCE, target, method_in=make_method("mean")).model
    with jax.set_mesh(make_mesh(**mesh)):
        from lexitok.sharding import current_mesh, state_shardings

        split = jax.device_put(model, state_shardings(model, current_mesh()))
        done = transfer(split, SOURCE, target, method_in=make_method("mean")).model
    assert done.interface.table.dtype == jax.numpy.bfloat16
    for a, b in zip(jax.tree.leaves(done), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(jax.device_get(a), b)


def test_a_problem_knows_its_parts_once():
    """A vocabulary of a hundred thousand tokens is cut once for both tables, where they share a problem."""
    found = match(SOURCE.vocabulary, Greedy((*WORDS, b"inner")).vocabulary)
    problem = Problem(SOURCE, Greedy((*WORDS, b"inner")), found, rows(SOURCE))
    assert problem.parts is problem.parts and problem.parts.counts.tolist() == [3]
