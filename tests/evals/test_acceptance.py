"""What a target keeps of a draft is what its definition says, by hand on whole logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import TEXT, small

from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.evals.acceptance import acceptance
from lexitok.evals.evaluate import EvaluationError

DRAFT, ENCODER = small("bytes")
TARGET = jax.tree.map(lambda x: x * 1.5, DRAFT)
DOCUMENTS = [TEXT, TEXT[:9]]
WINDOW = {"rows": 2, "symbols": 128, "chunk": 48}


def _by_hand(count: int) -> tuple[float, float, float]:
    kept, same, lengths = [], [], []
    for document in DOCUMENTS:
        stream = ENCODER.encode(document)
        pieces = [[make_piece(stream, 0, len(stream))]]
        batch = jax.tree.map(jnp.asarray, pack_rows(pieces, symbols=128, units=None, pad=ENCODER.vocabulary.pad))
        logits = [np.asarray(model.logits(batch), np.float64)[0, : len(stream)] for model in (DRAFT, TARGET)]
        q, p = (np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in logits)
        keep = np.minimum(p, q).sum(-1)
        kept += keep.tolist()
        same += (q.argmax(-1) == p.argmax(-1)).tolist()
        for start in range(len(keep) - count + 1):
            lengths.append(1 + sum(np.prod(keep[start : start + k]) for k in range(1, count + 1)))
    return float(np.mean(kept)), float(np.mean(same)), float(np.mean(lengths))


def test_it_is_the_definition():
    found = acceptance(DRAFT, TARGET, ENCODER, DOCUMENTS, drafted=(1, 3), **WINDOW)
    np.testing.assert_allclose((found.sampled, found.greedy, found.lengths[3]), _by_hand(3), rtol=1e-4)
    assert found.positions == sum(len(ENCODER.encode(document)) for document in DOCUMENTS)
    assert found.lengths[1] == pytest.approx(1 + found.sampled)


def test_a_model_keeps_all_of_its_own_draft():
    found = acceptance(DRAFT, DRAFT, ENCODER, DOCUMENTS, drafted=(4,), **WINDOW)
    np.testing.assert_allclose((found.sampled, found.greedy, found.lengths[4]), (1, 1, 5), rtol=1e-5)


def test_what_cannot_be_drafted_is_refused():
    with pytest.raises(EvaluationError, match="no document has the 400 symbols"):
        acceptance(DRAFT, TARGET, ENCODER, DOCUMENTS, drafted=(400,), **WINDOW)
    with pytest.raises(EvaluationError, match="0 tokens are to be drafted"):
        acceptance(DRAFT, TARGET, ENCODER, DOCUMENTS, drafted=(0,), **WINDOW)
    with pytest.raises(EvaluationError, match="the target model is no model of the encoder's"):
        acceptance(DRAFT, small("hat_v2")[0], ENCODER, DOCUMENTS, **WINDOW)
    broken = jax.tree.map(lambda x: x * np.nan, DRAFT)
    with pytest.raises(EvaluationError, match="gives no probabilities"):
        acceptance(broken, TARGET, ENCODER, DOCUMENTS, **WINDOW)
