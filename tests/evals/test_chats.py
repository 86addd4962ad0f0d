"""Of a chat what is learnt is evaluated: bytes, words and nats of what is only read are in no number."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import small

from lexitok.data.chat_encoders import reading_chats
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.data.windows import eval_batches
from lexitok.evals.compressors import compressed_bpb
from lexitok.evals.evaluate import evaluate
from lexitok.text.chats import Turn, chat

TEMPLATE = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
WINDOW = {"rows": 4, "symbols": 48, "units": 24, "overlap": 0.5}
SAID = [b"Eight legs.", b"Sixteen naive ones, if there are two spiders in all, and they have lost none of them"]
TURNS = [
    Turn("user", b"How many legs?"),
    Turn("assistant", SAID[0]),
    Turn("user", b"And two?"),
    Turn("assistant", SAID[1]),
]


def nats_of(model, stream, pad):
    rows = pack_rows([[make_piece(stream, 0, len(stream))]], symbols=192, units=None, pad=pad)
    return np.asarray(model.read_out(jax.tree.map(jnp.asarray, rows))[0].nll_BxS)[0, : len(stream)]


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_what_is_learnt_alone_counts(overlap):
    """In windows, beside a text; what ends a turn is no text."""
    model, plain = small("bytes")
    encoder = reading_chats(plain, TEMPLATE)
    data = chat(TURNS)
    found = evaluate(model, encoder, [data, b"a text of its own"], **WINDOW | {"overlap": overlap})
    scored, text = found.documents
    assert (scored.nbytes, scored.scored, scored.words) == (len(b"".join(SAID)), len(b"".join(SAID)), 2 + 17)
    assert not scored.lossy and text.nbytes == 17
    alone = evaluate(model, plain, [b"a text of its own"], **WINDOW)
    assert text.nats == pytest.approx(alone.documents[0].nats, rel=1e-5)
    made = encoder.chat(data)
    if overlap == 0.5 or len(made.stream) <= WINDOW["symbols"]:
        wide = evaluate(model, encoder, [data], **WINDOW | {"symbols": 192})
        nats = nats_of(model, made.stream, plain.vocabulary.pad)
        said = made.stream.predicted & (made.said > 0)
        assert wide.documents[0].nats == pytest.approx(math.fsum(nats[said]), rel=1e-4)
        assert wide.documents[0].eot_nats == pytest.approx(math.fsum(nats[made.stream.predicted & ~said]), rel=1e-4)
    assert found.references == compressed_bpb([b"".join(SAID), b"a text of its own"])


def test_a_chat_in_which_nothing_is_learnt_counts_nothing():
    """It is no reason to stop."""
    model, plain = small("bytes")
    encoder = reading_chats(plain, TEMPLATE)
    found = evaluate(model, encoder, [chat(TURNS[:1]), chat(TURNS[:2])], **WINDOW)
    assert [score.nbytes for score in found.documents] == [0, len(SAID[0])]
    assert found.documents[0].nats == 0 and math.isfinite(found.bpb)


def test_what_knows_nothing_of_chats_refuses_them():
    """It would take what is only read for certain."""
    plain = small("bytes")[1]
    with pytest.raises(ValueError, match="document 1 is a chat, of which this would measure what is only read"):
        list(eval_batches([b"text", chat(TURNS)], reading_chats(plain, TEMPLATE), **WINDOW))
    with pytest.raises(ValueError, match="document 0 is a chat, and is read by no template"):
        evaluate(small("bytes")[0], plain, [chat(TURNS)], **WINDOW)
