"""Dynamic tokenization: without merges the model itself; every byte once; rows of parts; caches change nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynamic_subject import ENCODER, MODEL, token_model
from flax import nnx
from greedy import SOURCE, WORDS, Greedy
from ml_collections import FrozenConfigDict

from lexitok import config as C
from lexitok.data.encoders import SubwordEncoder
from lexitok.evals import evaluate
from lexitok.inference.decoder import Decoder
from lexitok.inference.generate import generate
from lexitok.inference.prompts import prompt_symbols
from lexitok.interfaces import make_interface
from lexitok.interfaces.extended import Extended
from lexitok.text.merging.merges import MergeError, Merges
from lexitok.text.merging.tokenizer import MergedTokenizer
from lexitok.text.merging.words import word_starts
from lexitok.transfer.dynamic.batches import Batches, Merging
from lexitok.transfer.dynamic.cache import RowCache
from lexitok.transfer.dynamic.evaluate import evaluate_dynamic
from lexitok.transfer.dynamic.rows import HypernetworkRows, MethodRows, TokenRows
from lexitok.transfer.dynamic.windows import groups, windows
from lexitok.transfer.dynamic.writing import generate_dynamic, merges_of, with_merges
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method
from lexitok.transfer.model import transfer

DOCUMENTS = [
    b"the catcat in the inner hat; " * 5,
    b"",
    b"a",
    "Größe \xff".encode() + b"\xff 123123 the inner catcat" * 3,
]
WORDS_BY, ROOM = "gpt2_marks", 64
SIZES = {"rows": 2, "symbols": 24, "overlap": 0.5}


def maker(model=MODEL, said="mean", said_out=None):
    return MethodRows(model.interface, SOURCE, make_method(said), make_method(said_out or said))


def merges(n=6, texts=DOCUMENTS):
    return merges_of(texts, SOURCE, WORDS_BY, merges=n)


@pytest.fixture(autouse=True)
def one_length(monkeypatch):
    """Rows as long as before: no test waits for a program for each length."""
    monkeypatch.setattr("lexitok.transfer.dynamic.batches._LENGTHS", 1)


def scored(merging, documents=DOCUMENTS, make=None, **sizes):
    return evaluate_dynamic(
        MODEL, ENCODER, documents, merging, maker() if make is None else make, words=WORDS_BY, **(SIZES | sizes)
    )


def test_rows_are_those_of_a_transfer():
    """The mean of the parts, exactly; of another method for what leaves; scaled as the table's own."""
    tokens = [token.data for token in merges().tokens]
    target = MergedTokenizer(SOURCE, merges(), WORDS_BY)
    for tied, said_out in (("no", "first"), ("yes", None)):
        model = token_model(tied)
        expected = transfer(
            model, SOURCE, target, method_in=make_method("mean"), method_out=said_out and make_method(said_out)
        ).model.interface
        made = maker(model, "mean", said_out)(tokens)
        V = SOURCE.vocabulary.size
        np.testing.assert_array_equal(made.entering_nxD, 2 * np.asarray(expected.table[...])[V:])
        np.testing.assert_array_equal(made.leaving_nxD, np.asarray(expected.table_out)[V:])
    ids = SOURCE.encode(b"catcat").ids
    made = maker()([b"catcat"]).leaving_nxD[0]
    np.testing.assert_allclose(made, np.asarray(MODEL.interface.head[...])[ids].mean(0), atol=1e-6)


def test_a_hypernetwork_makes_rows_of_spellings():
    """One that has not learned yet gives the rows of its heuristic; parts beyond the longest are left out."""
    c = C.hypernetwork(source=C.table(tied="no", embed_scale=2.0))
    c.stack = C.transformer(D=16, L=1, H=2, K=2, N=8, F=16, feed_forward="plain", activation="gelu")
    c, vocabulary = FrozenConfigDict(c), SOURCE.vocabulary
    network = jax.jit(lambda rngs: make_interface(c, vocabulary.size, 16, rngs, vocabulary))(nnx.Rngs(params=0))
    table, tokens = network.frozen_source, [token.data for token in merges().tokens]
    for parts, said in ((8, "mean"), (1, "first")):
        found = HypernetworkRows(network, SOURCE, parts=parts)(tokens)
        expected = MethodRows(table, SOURCE, make_method(said))(tokens)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    assert HypernetworkRows(network, SOURCE)([]).entering_nxD.shape == maker()([]).leaving_nxD.shape == (0, 16)


def test_the_cache_forgets_what_was_not_asked_for():
    """The rows are those of the maker, whatever is there; a batch may be larger than the cache."""
    asked = []

    def make(tokens):
        asked.append(list(tokens))
        values = np.array([[len(token)] for token in tokens], np.float32).reshape(-1, 1)
        return TokenRows(values, -values)

    cache = RowCache(make, 2)
    for tokens in ([b"a", b"bb"], [b"bb"], [b"ccc"], [b"a", b"bb"], [b"a", b"bb", b"ccc", b"dddd"], []):
        assert cache(tokens).entering_nxD[:, 0].tolist() == [len(token) for token in tokens]
        assert len(cache) <= 2
    # `ccc` takes the place of `a`, which was not asked for since; then `a` that of `bb`, which is asked for with it.
    assert asked == [[b"a", b"bb"], [b"ccc"], [b"a"], [b"ccc", b"dddd"], []]
    assert (cache.hits, cache.misses) == (4, 6) and cache.hit_rate == 0.4
    with pytest.raises(TransferError, match="a cache of 0 rows"):
        RowCache(make, 0)


@pytest.mark.parametrize("reach", ["enter", "enter_and_leave"])
def test_without_merges_it_is_the_model_itself(reach):
    """To the last bit, with room for merged tokens or without; every byte is scored, and those of whole documents."""
    plain, roomy = (scored(Merging(reach, "batch", 0, room=room)).evaluation for room in (0, ROOM))
    assert plain.documents == roomy.documents
    assert plain.summary()["fraction_scored"] == 1 and plain.summary()["lossy_documents"] == 0
    batches = Batches(SOURCE.vocabulary, Merging(reach, "batch", 0), maker(), rows=2, symbols=24)
    found = windows(DOCUMENTS, ENCODER, word_starts(WORDS_BY, SOURCE), symbols=24, overlap=0.5)
    nats = 0.0
    for each in batches(groups(found, 2, 24)):
        assert each.batch.vocabulary is None
        nll = read_out(MODEL, jax.tree.map(jnp.asarray, each.batch))
        for part in each.scored:
            at = slice(part.column, part.column + part.length)
            keep = each.batch.tokens.targets_BxS[part.row, at] != SOURCE.vocabulary.eot
            nats += nll[part.row, at][keep].sum()
    assert plain._sum("nats") == pytest.approx(float(nats), rel=1e-5)


read_out = jax.jit(lambda model, batch: model.read_out(batch)[0].nll_BxS)


def test_a_transferred_model_scores_the_same():
    """Merged tokens that are read and predicted are a vocabulary like others: `evaluate` finds the same bits."""
    whole = {"rows": 2, "symbols": 128, "overlap": 0.0}  # no document is cut
    found = scored(Merging("enter_and_leave", "given", given=merges(), room=ROOM), **whole)
    target = MergedTokenizer(SOURCE, merges(), WORDS_BY)
    model = transfer(MODEL, SOURCE, target, method_in=make_method("mean")).model
    expected = evaluate(model, SubwordEncoder(target), DOCUMENTS, units=8, **whole)
    longer, encoder = with_merges(MODEL, ENCODER, merges(), maker(), reach="enter_and_leave", words=WORDS_BY)
    held = evaluate(longer, encoder, DOCUMENTS, units=8, **whole)
    assert found.bpb == pytest.approx(expected.bpb, rel=1e-5) and found.bpb == pytest.approx(held.bpb, rel=1e-5)
    assert found.symbols == expected.counts["symbols_read"] < scored(Merging(), **whole).symbols
    assert found.merge_bits == 0 and found.tokens == len(merges().tokens)


@pytest.mark.parametrize(
    ("reach", "scope"),
    [("enter", "sequence"), ("enter", "batch"), ("enter", "given"), ("enter_and_leave", "batch")],
)
def test_every_byte_is_scored_once(reach, scope):
    """Fewer symbols are read, of the same bytes; only what is context is merged where tokens only enter."""
    static = scored(Merging())
    given = merges(5) if scope == "given" else None
    found = scored(Merging(reach, scope, 5, given=given, room=ROOM), make=RowCache(maker(), 100))
    for a, b in zip(found.evaluation.documents, static.evaluation.documents, strict=True):
        assert (a.nbytes, a.scored) == (b.nbytes, b.scored) and np.isfinite(a.nats) and not a.lossy
    assert found.evaluation.counts["bytes_read"] == static.evaluation.counts["bytes_read"]
    assert found.symbols < static.symbols and 0 < found.hit_rate < 1
    told = reach == "enter_and_leave"
    assert (found.merge_bits > 0) == told and (found.bpb_with_merges > found.bpb) == told
    batches = Batches(SOURCE.vocabulary, Merging(reach, scope, 5, given=given, room=ROOM), maker(), rows=2, symbols=24)
    starts = word_starts(WORDS_BY, SOURCE)
    V = SOURCE.vocabulary.size
    for each in batches(groups(windows(DOCUMENTS, ENCODER, starts, symbols=24, overlap=0.5), 2, 24)):
        tokens = each.batch.tokens
        is_scored = np.zeros(tokens.targets_BxS.shape, bool)
        for part in each.scored:
            is_scored[part.row, part.column : part.column + part.length] = True
        np.testing.assert_array_equal(tokens.weights_BxS > 0, is_scored)
        assert told or tokens.targets_BxS.max() < V
        assert (tokens.symbols_BxS < V + each.tokens).all()


def test_sequences_do_not_depend_on_each_other():
    """Where merges are of each for itself, a document's bits are what they are without those that are read with it."""
    alone = [
        scored(Merging("enter", "sequence", 4, room=ROOM), [data]).evaluation.documents[0]
        for data in (DOCUMENTS[0], b"a")
    ]
    together = scored(Merging("enter", "sequence", 4, room=ROOM), [DOCUMENTS[0], b"a"]).evaluation.documents
    assert [each.nats for each in alone] == pytest.approx([each.nats for each in together], rel=1e-5)


@pytest.mark.parametrize("reach", ["enter", "enter_and_leave"])
def test_a_prompt_in_merged_tokens_is_decoded(reach):
    """Read in chunks, then token by token: what the full pass says of the same symbols."""
    prompts = [b"the catcat in the inner", b"inner catcat"]
    longer, encoder = with_merges(MODEL, ENCODER, merges(6, prompts), maker(), reach=reach, words=WORDS_BY)
    V = SOURCE.vocabulary.size
    assert longer.interface.vocabulary_size == V + (6 if reach == "enter_and_leave" else 0)
    read = [prompt_symbols(encoder, prompt) for prompt in prompts]
    assert any(symbol >= V for row in read for symbol in row)
    after = SOURCE.encode(b" hat").ids.tolist()
    decoder = Decoder(longer, encoder, 2, 32, chunk=3)
    decoder.read(read)
    for symbol in after:
        decoder.read([[symbol]] * 2)
    for row, symbols in enumerate(read):
        ids = np.array([symbols + after], np.int32)
        whole = full(longer, jnp.asarray(ids))[0, -1]
        np.testing.assert_allclose(decoder.logits_BxV[row], whole, atol=1e-4)
    if reach == "enter_and_leave":
        how = {"max_bytes": 4, "temperature": 0.0, "chunk": 3}
        text = generate_dynamic(MODEL, ENCODER, prompts, maker(), merges=6, reach=reach, words=WORDS_BY, **how)
        assert text == generate(longer, encoder, prompts, **how) and all(0 < len(each) <= 4 for each in text)


@jax.jit
def full(model, ids_BxS):
    from samples import batch_of_ids

    batch = jax.tree.map(jnp.asarray, batch_of_ids(np.zeros(ids_BxS.shape, np.int32)))
    tokens = dataclasses.replace(batch.tokens, symbols_BxS=ids_BxS)
    return model.logits(dataclasses.replace(batch, tokens=tokens))


def test_what_cannot_be_done_is_refused():
    """By name, before anything is scored."""
    with pytest.raises(TransferError, match=r"batch 0 has \d merged tokens, and there is room for 1: give more room"):
        scored(Merging("enter", "batch", 5, room=1))
    with pytest.raises(TransferError, match="unknown reach 'leave' of merges; there are enter, enter_and_leave"):
        Merging("leave")
    with pytest.raises(TransferError, match="unknown scope 'document' of merges; there are sequence, batch, given"):
        Merging("enter", "document")
    with pytest.raises(TransferError, match="merges of each 'sequence' are for 'enter' alone"):
        Merging("enter_and_leave", "sequence", 4)
    with pytest.raises(TransferError, match="scope 'given' goes with merges that are given"):
        Merging("enter", "given", 4)
    other = Greedy((*WORDS, b"zz"))
    with pytest.raises(TransferError, match="the merges that are given are of another vocabulary"):
        scored(Merging("enter", "given", given=Merges(other.vocabulary, (), ())))
    with pytest.raises(MergeError, match="the merges are of another vocabulary"):
        with_merges(MODEL, ENCODER, Merges(other.vocabulary, (), ()), maker(), reach="enter", words=WORDS_BY)
    with pytest.raises(TransferError, match="there are no documents"):
        scored(Merging(), [])
    with pytest.raises(TransferError, match="windows of 24 tokens that overlap by 1.0"):
        scored(Merging(), overlap=1.0)
    with pytest.raises(TransferError, match="methods make rows of those of a learned table.*this is a Extended"):
        MethodRows(Extended(MODEL.interface, "enter"), SOURCE, make_method("mean"))
    with pytest.raises(TransferError, match="the model has 268 rows, and its tokenizer 269 ids"):
        MethodRows(MODEL.interface, other, make_method("mean"))
    with pytest.raises(TransferError, match="spelled in 0 parts"):
        HypernetworkRows(MODEL.interface, SOURCE, parts=0)
