"""Models as distributions of bytes: what they say of a text is what an evaluation counts."""

import jax
import numpy as np
import pytest
from samples import TEXT, batch, pieces, slow_if, small

from lexitok.inference.byte_model import END, ByteModel, byte_model

KINDS = ("bytes", "hat_v2", "spacebyte", "hnet")
SHORT = TEXT[:40]
nats_of = jax.jit(lambda model, rows: model.read_out(rows)[0].nll_BxS * rows.tokens.weights_BxS)


def walked(model: ByteModel, text: bytes) -> list[np.ndarray]:
    """The distributions before each byte of a text and behind the last, in the first row."""
    out = [np.asarray(model.next_bytes()[0], np.float64)]
    for byte in text:
        model.push([byte, *[None] * (len(model.next_bytes()) - 1)])
        out.append(np.asarray(model.next_bytes()[0], np.float64))
    return out


@pytest.mark.parametrize("kind", slow_if(("hnet", "spacebyte").__contains__, KINDS))
def test_a_text_costs_what_an_evaluation_counts(kind):
    """Byte by byte, the end of the text included; and no distribution holds more than all there is."""
    model, encoder = small(kind)
    found = walked(byte_model(model, encoder, 1, len(SHORT)), SHORT)
    spent = [-log_p[byte] for log_p, byte in zip(found, [*SHORT, END], strict=True)]
    expected = np.asarray(nats_of(model, batch(kind, *([piece] for piece in pieces(kind, SHORT)))))[0, : len(SHORT) + 1]
    np.testing.assert_allclose(spent, expected, atol=2e-3)
    total = np.exp(found).sum(-1)
    assert (total <= 1 + 1e-5).all() and (total > 0.5).all()  # random weights give something to other symbols


@pytest.mark.parametrize("kind", ["bytes", "hat_v2"])
def test_taken_rows_go_on_by_themselves(kind):
    """Completions of one prefix part ways, and the prefix stays where it was."""
    model, encoder = small(kind)
    first = byte_model(model, encoder, 1, 40)
    walked(first, b"the ")
    before = np.asarray(first.next_bytes()[0])
    both = first.take([0, 0])
    both.push([ord("a"), ord("z")])
    for row, byte in enumerate(b"az"):
        alone = walked(byte_model(model, encoder, 1, 40), b"the " + bytes([byte]))[-1]
        np.testing.assert_allclose(np.asarray(both.next_bytes()[row]), alone, atol=2e-3)
    np.testing.assert_array_equal(np.asarray(first.next_bytes()[0]), before)


def test_what_is_refused(make_small):
    """A subword model would leave out all tokens of several bytes; what is pushed is checked before it is read."""
    with pytest.raises(ValueError, match="symbols span several bytes"):
        byte_model(*make_small("subword"), 1, 10)
    model = byte_model(*small("bytes"), 2, 10)
    with pytest.raises(ValueError, match="row 1: 256 is no byte"):
        model.push([97, END])
    with pytest.raises(ValueError, match="1 bytes are pushed, and there are 2 rows"):
        model.push([97])
    assert [cursor.length for cursor in model._decoder.cursors] == [1, 1]
