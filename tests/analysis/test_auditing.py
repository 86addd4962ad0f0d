"""A run's evaluation and its audit are one number."""

import pytest
from samples import TEXT, made, slow_if, small, small_config

from lexitok.analysis.auditing import audit_model
from lexitok.data.readers import RawDocument
from lexitok.evals import evaluate
from lexitok.text.audit import AuditError

DOCUMENTS = [TEXT * 2, b"", b"one", b"\xff\xfe three"]


def model_of(kind):
    """A model, its encoder and its config."""
    c = small_config("bytes" if kind == "subword" else kind)
    if kind == "subword":
        c.text.kind = "subword"
        return *made(c), c
    return *small(kind), c


@pytest.mark.parametrize(
    "kind", slow_if(("bytes", "hat_v2_fused").__contains__, ["bytes", "subword", "hat_v1", "hat_v2_fused"])
)
def test_it_agrees_with_the_evaluation_to_the_last_digit(kind):
    """Of tokens, bytes, and symbols that end units; and every document by itself."""
    model, encoder, c = model_of(kind)
    c.data.rows, c.data.symbols, c.data.units, c.eval.overlap = 4, 48, 24, 0.5
    found, logs = audit_model(model, encoder, [RawDocument(f"d{i}", d) for i, d in enumerate(DOCUMENTS)], c)
    shape = {"rows": 4, "symbols": 48, "units": 24, "overlap": 0.5}
    expected = evaluate(model, encoder, DOCUMENTS, **shape, chunk=c.objective.chunk)
    assert found.bpb == expected.bpb and found.lossless and found.fraction_scored == 1
    assert [d.nats for d in found.documents] == [d.nats for d in expected.documents]
    assert [d.special_nats for d in found.documents] == [d.eot_nats for d in expected.documents]
    assert len(logs) == 4 and found.mistaken()["specials in the numerator"]["per_cent"] > 0
    assert any("cut at 48 tokens" in name for name in found.mistaken())


def test_nothing_is_no_text():
    """Before a model is run."""
    with pytest.raises(AuditError, match="no documents"):
        audit_model(None, small("bytes")[1], [], small_config("bytes"))
