"""The robustness probe, with models whose answers are known without a computer."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from samples import small_config

from lexitok.data.encoders import make_encoder
from lexitok.evals import PERTURBATIONS, EvaluationError, PerturbationError, evaluate, perturb
from lexitok.evals.robustness import probe
from lexitok.evals.scoring import scorer
from lexitok.models.extras import Extras
from lexitok.ops.read_out import Reductions

WINDOW = {"rows": 2, "symbols": 64, "units": 32, "overlap": 0.5}
TEXTS = [b"several words inside documents 12345 !", "naïve Größe – 世界 and so on".encode(), b"", b"AB CD"]


class Fake(nnx.Module):
    """What evaluations ask of a model, where only its scores matter."""

    def read_out(self, batch, query=None):
        return self.scores(batch), Extras(jnp.zeros((), jnp.float32), {})


class Lookup(Fake):
    """Nats of a target are a table's entry for it, whatever came before; right are those below 100."""

    def scores(self, batch):
        nll = batch.tokens.targets_BxS.astype(jnp.float32) / 64
        return Reductions(nll_BxS=nll, log_z_BxS=nll, is_top_BxS=batch.tokens.targets_BxS < 100)


class Context(Fake):
    """Nats of a target are the largest byte of the piece before it: noise is felt by all that comes after it."""

    def scores(self, batch):
        before = jnp.where(batch.tokens.symbols_BxS < 256, batch.tokens.symbols_BxS, 0)
        nll = jnp.maximum.accumulate(before, axis=1).astype(jnp.float32)
        return Reductions(nll_BxS=nll, log_z_BxS=nll, is_top_BxS=nll < 100)


def encoder(kind="bytes"):
    return make_encoder(small_config(kind).text)


@pytest.mark.parametrize("kind", ["bytes", "hat_v1"])
def test_bits_are_those_of_an_evaluation(kind):
    """The probe's numbers stand beside those of `evaluate`: on the same text they have to be the same."""
    found = probe(Lookup(), encoder(kind), TEXTS, **WINDOW, fraction=0.3, seed=1)
    clean = evaluate(Lookup(), encoder(kind), TEXTS, **WINDOW)
    assert math.isclose(found["clean_bpb"], clean.bpb, rel_tol=1e-6)
    for name in PERTURBATIONS:
        noisy = [perturb(text, name, fraction=0.3, seed=1).data for text in TEXTS]
        bpb = evaluate(Lookup(), encoder(kind), noisy, **WINDOW).bpb
        assert math.isclose(found[name]["bpb"], bpb, rel_tol=1e-6)
        assert math.isclose(found[name]["increase"], bpb - clean.bpb, abs_tol=1e-6)


@pytest.mark.parametrize("kind", ["bytes", "hat_v1", "hat_v2"])
def test_untouched_words_cost_the_same_where_context_means_nothing(kind):
    """What is measured on untouched words must be free of the noise's own information: here nothing else is left."""
    found = probe(Lookup(), encoder(kind), TEXTS, **WINDOW, fraction=0.3)
    for name in PERTURBATIONS:
        assert found[name]["untouched_bytes"] > 0
        assert found[name]["untouched_increase"] == pytest.approx(0, abs=1e-6)
        if kind != "hat_v1":  # there, end symbols within a word count too, and move with its neighbours
            assert found[name]["untouched_accuracy"] == found[name]["untouched_clean_accuracy"]


def test_untouched_words_feel_the_noise_before_them():
    """A drop turns no byte up, a replacement may: its effect on later words is what robustness is about."""
    texts = [b"000000 1 2 3 4 5 6 7 8 9"]
    found = probe(Context(), encoder(), texts, **WINDOW, fraction=1.0)
    noisy = perturb(texts[0], "replace", fraction=1.0).data
    assert max(noisy) > max(texts[0]), "the seed has to give a larger byte for this test to mean anything"
    assert found["replace"]["untouched_bytes"] == len(texts[0]) - 7
    assert found["replace"]["untouched_bpb"] == pytest.approx(max(noisy) / math.log(2), rel=1e-6)
    assert found["replace"]["untouched_clean_bpb"] < max(texts[0]) / math.log(2) + 1e-6
    assert found["drop"]["untouched_increase"] == pytest.approx(0, abs=1e-6)
    assert found["upper"]["hit"] == 0 and found["upper"]["increase"] == 0


def test_the_accuracy_of_untouched_words_is_counted_by_hand():
    """Words are those of the clean text, found again in the perturbed one."""
    texts = [b"aaaa zz bb yy 11"]  # bytes below 100 are right: z and y are not
    found = probe(Lookup(), encoder(), texts, **WINDOW, fraction=1.0)["drop"]
    assert (found["hit"], found["untouched_bytes"]) == (2, len(texts[0]) - 5)
    assert found["untouched_accuracy"] == 2 / 4 == found["untouched_clean_accuracy"]


def test_one_compilation_serves_all_texts():
    """Five evaluations must not cost five compilations."""
    probe(Lookup(), encoder(), TEXTS, **WINDOW)
    before = scorer()._cache_size()
    probe(Lookup(), encoder(), TEXTS, **WINDOW, seed=5)
    assert scorer()._cache_size() == before


def test_nothing_untouched_is_none_and_nothing_at_all_an_error():
    """JSON has no NaN; and an empty split must not become a result."""
    found = probe(Lookup(), encoder(), [b"abcd"], **WINDOW, fraction=1.0)
    assert found["drop"]["untouched_bpb"] is None and found["drop"]["untouched_accuracy"] is None
    with pytest.raises(EvaluationError, match="no documents"):
        probe(Lookup(), encoder(), [], **WINDOW)
    with pytest.raises(PerturbationError, match="document 1 is not valid"):
        probe(Lookup(), encoder(), [b"a", b"\xff"], **WINDOW)


def test_untouched_words_are_whole():
    """A word of which one character is gone is touched."""
    data = b"abcdefgh ij"
    out = perturb(data, "drop", fraction=0.2, seed=0)
    assert out.hit == 1 and np.sum(out.image < 0) == 1
    assert probe(Lookup(), encoder(), [data], **WINDOW, fraction=0.2)["drop"]["untouched_bytes"] == 2
