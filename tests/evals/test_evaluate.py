"""Evaluation of whole documents against sums that are made by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import TEXT, batch, slow_if, small

from lexitok.data.layout import make_piece
from lexitok.data.windows import eval_batches
from lexitok.evals import EvaluationError, evaluate
from lexitok.evals.scoring import ScoringError, score_documents, scorer
from lexitok.models.extras import Extras
from lexitok.ops.read_out import Reductions
from lexitok.sharding import MeshError, make_mesh
from lexitok.text.splitters import make_splitter

KINDS = ("bytes", "hat_v1", "hat_v2", "hat_v2_fused", "learn_your_tokens", "hnet")  # every kind of stream
MOST = slow_if(("hat_v1", "hat_v2_fused", "learn_your_tokens", "hnet").__contains__, KINDS)
WINDOW = {"rows": 4, "symbols": 48, "units": 24, "overlap": 0.5}
SHORT = [b"one two", b"", TEXT[:20], b"\xff\xfe three"]
LONG = [TEXT * 3, *SHORT]
NOTHING_ELSE = Extras(jnp.zeros(()), {})


class Uniform(nnx.Module):
    """Every symbol has the same probability, and none is ever the largest."""

    V = 260

    def read_out(self, batch, query=None):
        nll = jnp.full(batch.tokens.targets_BxS.shape, math.log(self.V), jnp.float32)
        return Reductions(nll_BxS=nll, log_z_BxS=nll, is_top_BxS=batch.tokens.targets_BxS < 0), NOTHING_ELSE


class Broken(nnx.Module):
    """Gives no number for one symbol of a batch."""

    def __init__(self, value):
        self.value = value

    def read_out(self, batch, query=None):
        nll = jnp.ones(batch.tokens.targets_BxS.shape, jnp.float32).at[0, 7].set(self.value)
        return Reductions(nll_BxS=nll, log_z_BxS=nll, is_top_BxS=nll > 2), NOTHING_ELSE


class Positions(nnx.Module):
    """The nats of a symbol are its position in the window: how much context it had."""

    def read_out(self, batch, query=None):
        nll = batch.tokens.positions_BxS.astype(jnp.float32)
        return Reductions(nll_BxS=nll, log_z_BxS=nll, is_top_BxS=nll > 0), NOTHING_ELSE


@jax.jit
def log_probabilities(model, batch):
    return jax.nn.log_softmax(model.logits(batch))


def by_hand(model, encoder, kind, data):
    """Nats and whether it is the largest, of every symbol of a document that fits one window."""
    document = encoder.encode(data)
    one = batch(kind, [make_piece(document, 0, len(document))], symbols=48, units=48)
    log_p = np.asarray(log_probabilities(model, one), np.float64)[0]
    targets = document.symbols
    predicted = document.predicted  # the others follow from what is before them
    nats = np.where(predicted, -log_p[np.arange(len(document)), targets], 0)
    return document, nats, (log_p[: len(document)].argmax(-1) == targets) | ~predicted


@pytest.mark.parametrize("kind", MOST)
def test_bits_per_byte_are_a_sum_over_every_byte(kind):
    """The one number that everything here is compared by, against a sum by hand in float64."""
    model, encoder = small(kind)
    found = evaluate(model, encoder, SHORT, **WINDOW)
    nats = eot_nats = words = right = first = 0.0
    for data, score in zip(SHORT, found.documents, strict=True):
        document, nll, top = by_hand(model, encoder, kind, data)
        is_eot = document.symbols == encoder.vocabulary.eot
        nats, eot_nats = nats + nll[~is_eot].sum(), eot_nats + nll[is_eot].sum()
        assert score.nbytes == score.scored == len(data)
        spans, waiting, by_byte, ok = make_splitter("whitespace").split(data).starts, 0.0, [], []
        for symbol_nats, is_byte, is_top in zip(nll[:-1], document.nbytes[:-1], top[:-1], strict=True):
            waiting += symbol_nats
            if is_byte:
                by_byte, ok, waiting = [*by_byte, waiting], [*ok, is_top], 0.0
        if by_byte:
            by_byte[-1] += waiting
        first += sum(b for b, starts in zip(by_byte, spans, strict=True) if starts)
        groups = np.split(np.array(ok), np.flatnonzero(spans)[1:]) if ok else []
        words, right = words + len(groups), right + sum(bool(g.all()) for g in groups)
    summary, n = found.summary(), sum(map(len, SHORT))
    assert math.isclose(summary["bpb"], nats / (math.log(2) * n), rel_tol=1e-5)
    assert math.isclose(summary["first_byte_bpb"], first / (math.log(2) * words), rel_tol=1e-5)
    assert math.isclose(summary["rest_bpb"], (nats - first) / (math.log(2) * (n - words)), rel_tol=1e-5)
    assert math.isclose(summary["eot_nats"], eot_nats / len(SHORT), rel_tol=1e-5)
    assert summary["fraction_scored"] == 1 and (summary["bytes"], summary["words"]) == (n, words)
    if kind not in ("hat_v1", "learn_your_tokens"):  # there, end symbols within a word count too
        assert summary["next_word_accuracy"] == right / words


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_a_long_document_scores_every_byte_once(kind, overlap):
    """Documents longer than the context are where bytes get lost, or counted twice."""
    encoder = small(kind)[1]
    found = evaluate(Uniform(), encoder, LONG, **WINDOW | {"overlap": overlap})
    stream = [encoder.encode(data) for data in LONG]
    n = sum(map(len, LONG))
    assert found.summary()["fraction_scored"] == 1 and found.summary()["bytes"] == n
    symbols = sum(document.predicted.sum() - 1 for document in stream)
    assert [score.nbytes for score in found.documents] == [score.scored for score in found.documents]
    assert math.isclose(found.bpb, symbols / n * math.log2(260), rel_tol=1e-6)
    assert math.isclose(found.summary()["eot_nats"], math.log(260), rel_tol=1e-6)
    assert found.summary()["next_word_accuracy"] == 0


def test_a_uniform_model_needs_log2_V_bits_a_byte():
    """The one model whose bits per byte are known without a computer."""
    assert math.isclose(evaluate(Uniform(), small("bytes")[1], SHORT, **WINDOW).bpb, math.log2(260), rel_tol=1e-6)


@pytest.mark.parametrize("kind", ["bytes", "hat_v1", "hat_v2", "hat_v2_fused", "hnet"])
def test_overlap_gives_every_symbol_context(kind):
    """Without context at the start of a window, a long document would look harder than it is."""
    encoder = small(kind)[1]

    def context(overlap):
        batches = eval_batches([TEXT * 3], encoder, **WINDOW | {"overlap": overlap})
        ((_, scored),) = score_documents(Positions(), batches, encoder.vocabulary.eot)
        return scored.nll

    cut, sliding = context(0.0), context(0.5)
    assert (cut[1:] == 0).sum() > 3 and (sliding[1:] == 0).sum() == 0
    assert (sliding >= cut - 24).all() and sliding.mean() > cut.mean()
    assert sliding[48:].min() >= 6  # half of the units or symbols of a window, however long they are


def test_a_mesh_changes_nothing_and_nothing_is_copied_in_silence():
    """Pods evaluate under `jax.transfer_guard("disallow")`, with rows split over all devices."""
    model, encoder = small("hat_v2")
    alone = evaluate(model, encoder, SHORT, **WINDOW)
    mesh = make_mesh(data=2, fsdp=2, devices=jax.devices()[:4])
    model = jax.device_put(model, jax.NamedSharding(mesh, jax.P()))
    with jax.set_mesh(mesh), jax.transfer_guard("disallow"):
        split = evaluate(model, encoder, SHORT, **WINDOW)
        with pytest.raises(MeshError, match="6 rows cannot be split"):
            evaluate(model, encoder, SHORT, **WINDOW | {"rows": 6})
    np.testing.assert_allclose([d.nats for d in split.documents], [d.nats for d in alone.documents], rtol=1e-5)


def test_evaluations_of_one_shape_compile_once():
    """An evaluation every few hundred steps must not cost a compilation each time."""
    model, encoder = small("bytes")
    evaluate(model, encoder, SHORT, **WINDOW)
    before = scorer()._cache_size()
    evaluate(jax.tree.map(lambda x: x * 2, model), encoder, LONG, **WINDOW)
    assert scorer()._cache_size() == before


def test_words_are_the_same_for_every_model():
    """Word accuracy over each model's own units would compare different things."""
    counts = {k: evaluate(Uniform(), small(k)[1], SHORT, **WINDOW).summary()["words"] for k in KINDS}
    assert len(set(counts.values())) == 1


def test_nothing_to_evaluate_is_an_error():
    """An empty validation split must not become a bits per byte of NaN."""
    with pytest.raises(EvaluationError, match="no documents"):
        evaluate(Uniform(), small("bytes")[1], [], **WINDOW)


def test_empty_documents_alone_have_no_bits_per_byte():
    """Zero bytes have no ratio; None is written, which every JSON reader understands."""
    summary = evaluate(Uniform(), small("bytes")[1], [b""], **WINDOW).summary()
    assert summary["bpb"] is None and summary["fraction_scored"] is None and summary["gzip"] is None


def test_a_symbol_that_is_missed_or_scored_twice_is_found_out():
    """The fraction scored is 1 because this is checked, not because it is assumed."""
    encoder = small("bytes")[1]
    batches = list(eval_batches([TEXT * 9], encoder, **WINDOW))
    for wrong, message in (
        (batches[1:], "document 0: symbol 0 was never scored"),
        ([batches[0], batches[0]], "document 0: symbol 0 was scored twice"),
        (batches[:-1], "document 0: what follows symbol .* was never scored"),
    ):
        with pytest.raises(ScoringError, match=message):
            list(score_documents(Uniform(), wrong, encoder.vocabulary.eot))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nats_that_are_not_finite_are_no_result(value):
    """A broken model's bits per byte would be null, and a script's exit code 0."""
    with pytest.raises(ScoringError, match=f"document 0: the nats of symbol 7 are {value}"):
        evaluate(Broken(value), small("bytes")[1], [TEXT], **WINDOW)


def test_a_tokenizer_that_normalises_is_counted():
    """The denominator stays the raw bytes, and the reader is told that the symbols stand for others."""
    encoder = small("bytes")[1]

    class Forgetful(type(encoder)):
        def decode(self, ids):
            return super().decode(ids).lower()

    found = evaluate(Uniform(), Forgetful(encoder.alphabet, encoder.vocabulary), [b"A", b"a"], **WINDOW)
    assert found.summary()["lossy_documents"] == 1
