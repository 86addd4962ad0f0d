"""Models whose symbols say where units end, as distributions of bytes: a text is the sum over all it may be marked."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import Pairs, made, slow_if, small, small_config

from lexitok import config as C
from lexitok.data.encoders import make_encoder
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.inference import decoder as decoder_file
from lexitok.inference.byte_model import END, MarkedByteModel, byte_model
from lexitok.inference.byte_symbols import log_probabilities
from lexitok.inference.decoder import ContextError

LONGEST = 3  # bytes of a unit
TEXT = b"a, bc"
ALL = 32  # hypotheses of all texts of a batch, so that one program serves all tests; a text of five bytes has no more
nats_of = jax.jit(lambda model, rows: model.read_out(rows)[0].nll_BxS * rows.tokens.weights_BxS)


@functools.cache
def parts(kind):
    """A small model, and an encoder whose units are short, so that texts of a few bytes have full ones."""
    c = small_config(kind)
    c.text.max_unit_bytes = LONGEST
    return small(kind)[0], make_encoder(c.text, Pairs())


def marked(kind, rows=1, nbytes=5) -> MarkedByteModel:
    model = byte_model(*parts(kind), rows, nbytes, width=ALL // rows)
    assert isinstance(model, MarkedByteModel)
    return model


ALL_KINDS = ("hat_v1", "learn_your_tokens", "bolmo")


@pytest.fixture(params=slow_if(("hat_v1", "learn_your_tokens").__contains__, ALL_KINDS))
def kind(request):
    return request.param


def walked(model, texts):
    """The distributions before each byte of the texts and behind the last, float64 `[n + 1, B, 257]`."""
    out = [np.asarray(model.next_bytes(), np.float64)]
    for new in zip(*texts, strict=True):
        model.push(list(new))
        out.append(np.asarray(model.next_bytes(), np.float64))
    return np.array(out)


def spent(found, texts):
    """What the bytes and the end of each text cost, in nats `[n + 1, B]`."""
    bytes_BxT = np.array([[*text, END] for text in texts])
    return -np.take_along_axis(found, bytes_BxT.T[:, :, None], axis=2)[..., 0]


def markings(encoder, text, longest):
    """The symbols of a text, in all the ways to cut it into units of at most `longest` bytes."""
    if not text:
        return [[]]
    found = []
    for n in range(1, min(longest, len(text)) + 1):
        unit = list(text[:n])
        if encoder.boundary == "fused":
            unit[-1] += encoder.alphabet.fused
        else:
            unit.append(encoder.alphabet.end_of_unit)
        found += [unit + rest for rest in markings(encoder, text[n:], longest)]
    return found


def log_p_of(model, encoder, full_logits, rows):
    """Log-probability of each row of symbols, with the end of the text, by the full forward pass."""
    found, bos, eot = [], encoder.vocabulary.bos, encoder.vocabulary.eot
    for four in itertools.batched(rows, 4):
        for row, logits in zip(four, full_logits(model, encoder, [[bos, *row] for row in four]), strict=True):
            log_p = np.asarray(jax.nn.log_softmax(jnp.asarray(logits)), np.float64)
            found.append(sum(log_p[t, symbol] for t, symbol in enumerate([*row, eot])))
    return np.array(found)


def test_a_text_is_the_sum_over_its_markings(kind, full_logits):
    """All of them and no other, each counted once, be the text long or short; and nothing was pruned."""
    model, encoder = parts(kind)
    byte = marked(kind)
    found = walked(byte, [TEXT])
    for n in range(len(TEXT) + 1):
        log_p = log_p_of(model, encoder, full_logits, markings(encoder, TEXT[:n], LONGEST))
        np.testing.assert_allclose(-spent(found[: n + 1], [TEXT[:n]]).sum(), np.logaddexp.reduce(log_p), atol=2e-3)
    assert byte.lost_B.tolist() == [-np.inf]
    assert (np.exp(found).sum(-1) <= 1 + 1e-5).all()
    longer = log_p_of(model, encoder, full_logits, markings(encoder, TEXT, 99))
    assert np.logaddexp.reduce(longer) > np.logaddexp.reduce(log_p) + 0.02  # a full unit that went on would be seen


def test_a_text_costs_at_most_what_an_evaluation_counts(kind):
    """That is the cost of one marking, the splitter's: of all markings together, the text cannot be less likely."""
    model, encoder = parts(kind)
    stream = encoder.encode(TEXT)
    packed = pack_rows([[make_piece(stream, 0, len(stream))]], symbols=128, units=64, pad=encoder.vocabulary.pad)
    canonical = float(nats_of(model, jax.tree.map(jnp.asarray, packed)).sum())
    assert spent(walked(marked(kind), [TEXT]), [TEXT]).sum() < canonical - 0.02  # the others are no less likely here


def test_what_is_pruned_is_missing_and_is_told(kind):
    """With few hypotheses a text costs more, never less, and `lost_B` says whether its values can be trusted."""
    texts = [TEXT, b"aaaaa", b"ab ab", b" \xff..z", b"12345", b"zyxwv", b"     ", b"\xc3\xa9\xc3\xa9 "]
    empty, few = marked(kind), marked(kind, ALL)  # one hypothesis for each
    exact = np.array([spent(walked(empty.take([0]), [text]), [text]).sum() for text in texts])
    at_first = few.lost_B
    found = walked(few, texts * (ALL // len(texts)))[:, : len(texts)]
    more = spent(found, texts).sum(axis=0) - exact
    assert more.min() > -2e-3 and more.max() > 0.05
    assert (at_first == -np.inf).all() and (few.lost_B > -np.inf).all() and (few.lost_B < 0).all()
    assert (np.exp(found).sum(-1) <= 1 + 1e-5).all()


def test_rows_go_on_by_themselves(kind):
    """Texts of different lengths, one of which waits, and copies: each is what it is alone, and the rest stays."""
    model = marked(kind, 2)
    model.push([ord("a"), None])
    model.push([ord(","), ord("b")])
    before = np.asarray(model.next_bytes())
    turned, copies = model.take([1, 0]), model.take([0, 0])
    turned.push([None, ord(" ")])
    turned.push([None, None])
    copies.push([ord(" "), ord("z")])
    np.testing.assert_array_equal(np.asarray(model.next_bytes()), before)
    for found, texts in ((turned, [b"b", b"a, "]), (copies, [b"a, ", b"a,z"])):
        alone = [walked(marked(kind), [text])[-1, 0] for text in texts]
        np.testing.assert_allclose(np.asarray(found.next_bytes()), alone, atol=2e-3)
    assert np.abs(np.subtract(*alone)).max() > 0.1  # so that one could not stand for the other


def test_what_is_refused_changes_nothing(kind):
    """Neither the row that is named nor the others have read anything: they go on as if they had not been asked."""
    model = marked(kind, 2, nbytes=4)
    model.push([ord("a"), ord("b")])
    with pytest.raises(ValueError, match="row 1: 256 is no byte"):
        model.push([ord("a"), END])
    with pytest.raises(ValueError, match="1 bytes are pushed, and there are 2 rows"):
        model.push([ord("a")])
    with pytest.raises(IndexError, match="row -1 is to be taken, and there are rows 0 to 1"):
        model.take([-1])
    for byte in b", b":
        model.push([byte, None])
    with pytest.raises(ContextError, match="row 0 holds 4 bytes, and there is room for no more"):
        model.push([ord("a"), ord("b")])
    model.push([None, ord("c")])
    alone = [walked(marked(kind), [text])[-1, 0] for text in (TEXT[:4], b"bc")]
    np.testing.assert_allclose(np.asarray(model.next_bytes()), alone, atol=2e-3)


@pytest.mark.slow
def test_each_text_has_the_random_vectors_of_its_row(full_logits):
    """Where rows have vectors of their own, all markings of a text have the same, its row's."""
    c = small_config("hat_v1")
    c.model.interface = C.lexinvariant()
    model, encoder = made(c)
    texts = [b"ab"] * 4  # as many as the full pass has rows
    each = [log_p_of(model, encoder, full_logits, [marking] * 4) for marking in markings(encoder, texts[0], 2)]
    cost_B = spent(walked(byte_model(model, encoder, 4, 2, width=2), texts), texts).sum(axis=0)
    np.testing.assert_allclose(-cost_B, np.logaddexp.reduce(each), atol=2e-3)
    assert np.ptp(cost_B) > 0.1


def test_bytes_that_the_alphabet_lacks():
    """Their symbols are specials of the published HATs: to read one would end a unit, or the text."""
    c = small_config("hat_v1")
    c.text.alphabet = "in_bytes"
    model = byte_model(*made(c), 1, 3, width=2)
    assert (np.asarray(model.next_bytes())[0, [0xC0, 0xC1, 0xF5, 0xF6]] == -np.inf).all()
    with pytest.raises(ValueError, match="row 0: 245 is no byte that the model has a symbol for"):
        model.push([0xF5])


def test_settings_that_mean_nothing():
    """A text without hypotheses would be no distribution."""
    with pytest.raises(ValueError, match="width is 0"):
        byte_model(*parts("hat_v1"), 1, 3, width=0)


def test_a_diverged_model_is_found_out(kind):
    """Logits that are no numbers must not choose which hypotheses go on."""
    model, encoder = parts(kind)
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, model)
    broken = byte_model(broken, encoder, 1, len(TEXT), width=ALL)
    with pytest.raises(FloatingPointError, match="row 0: byte 97 has no probability"):
        broken.push([97])


def test_shapes_are_few(kind):
    """Nothing is compiled anew as a text grows: what is read at first, and bytes with and without the end of a unit."""
    before = decoder_file.extend._cache_size(), log_probabilities._cache_size()
    walked(marked(kind), [TEXT])
    assert decoder_file.extend._cache_size() - before[0] <= 3
    assert log_probabilities._cache_size() - before[1] <= 1
