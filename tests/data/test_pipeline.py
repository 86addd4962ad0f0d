"""The training pipeline: every byte once an epoch, rows as packing says, and resume that is exact."""

import collections
import dataclasses
import json
import subprocess
import sys
import zlib

import grain
import jax
import numpy as np
import pytest
from samples import TEXT, Pairs

from lexitok.config import default_config
from lexitok.data.batch import Budget, Tokenisation, empty_batch
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.layout import cut
from lexitok.data.pipeline import batch_iterator, train_iterator
from lexitok.data.rows import pack_rows
from lexitok.data.sources import SourceError
from lexitok.data.windows import eval_batches
from lexitok.text.vocabulary import Encoding

SHAPE = {"rows": 4, "symbols": 64, "units": 24, "packing_bins": 8}


def some_documents(count=60, seed=0):
    """Of all lengths: many in a row, and some over many rows."""
    rng = np.random.default_rng(seed)
    words = [b"cat ", b"in  ", b"hats, ", b"\xff\x00", "\u96ea".encode(), b"(1234) ", b"\n"]
    lengths = rng.choice([1, 3, 10, 40, 150], count)
    return [b"".join(rng.choice(words, n)) + str(i).encode() for i, n in enumerate(lengths)]


DOCUMENTS = some_documents()


def targets_by_segment(batches):
    """The targets of every piece in every row, as tuples."""
    for batch in batches:
        for segments, targets in zip(batch.tokens.segments_BxS, batch.tokens.targets_BxS, strict=True):
            for number in range(1, segments.max() + 1):
                yield tuple(targets[segments == number].tolist())


def expected_pieces(encoder, documents, symbols, units):
    for data in documents:
        yield from cut(encoder.encode(data), symbols, None if encoder.boundary == "none" else units)


def test_an_epoch_has_every_byte_once(encoder, corpus_of):
    """The claim that nothing is dropped, for each kind of symbols: the multiset of pieces is that of the documents."""
    iterator = batch_iterator(corpus_of(DOCUMENTS), encoder, **SHAPE, epochs=1)
    batches = list(iterator)
    expected = expected_pieces(encoder, DOCUMENTS, 64, 24)
    assert collections.Counter(targets_by_segment(batches)) == collections.Counter(
        tuple(piece.targets.tolist()) for piece in expected
    )
    total = sum(map(len, DOCUMENTS))
    assert sum(int(batch.tokens.bytes_BxS.sum()) for batch in batches) == total
    report = iterator.report
    assert report.bytes_in == report.bytes_scored == total and report.bytes_dropped == 0
    assert report.documents == len(DOCUMENTS) and report.lossy_documents == report.empty_documents == 0
    assert report.metrics()["data/fraction_scored"] == 1
    filled = sum(np.count_nonzero(batch.tokens.segments_BxS) for batch in batches) / (len(batches) * 4 * 64)
    assert report.metrics()["data/symbols_filled"] == pytest.approx(filled)
    assert report.batches == len(batches)


def test_rows_are_what_pack_rows_makes_of_their_pieces(encoder, corpus_of):
    """`pack_rows` is short enough to be read; the pipeline is fast. Both have to say the same, field by field."""
    units = None if encoder.boundary == "none" else 24
    by_targets = {
        tuple(piece.targets.tolist()): piece for piece in expected_pieces(encoder, DOCUMENTS, 64, units or 24)
    }
    for batch in batch_iterator(corpus_of(DOCUMENTS), encoder, **SHAPE, epochs=1):
        rows = [
            [by_targets[key] for key in targets_by_segment([jax.tree.map(lambda x, r=row: x[r : r + 1], batch)])]
            for row in range(4)
        ]
        expected = pack_rows(rows, symbols=64, units=units, pad=encoder.vocabulary.pad)
        expected = dataclasses.replace(expected, seeds_B=batch.seeds_B)
        assert jax.tree.structure(batch) == jax.tree.structure(expected)
        for found, want in zip(jax.tree.leaves(batch), jax.tree.leaves(expected), strict=True):
            assert found.dtype == want.dtype
            np.testing.assert_array_equal(found, want)


def test_rows_have_seeds_of_their_own(encoders, corpus_of):
    """What a row draws at random must be fresh: in every batch, in every epoch, in every process; and repeatable."""

    def seeds(epochs=2, **changes):
        batches = batch_iterator(corpus_of(DOCUMENTS), encoders["bytes"], **SHAPE, epochs=epochs, **changes)
        return np.concatenate([batch.seeds_B for batch in batches])

    first = seeds()
    assert len(set(first.tolist())) == len(first) > 50 and (first >= 0).all()
    np.testing.assert_array_equal(first, seeds())
    for changes in ({"seed": 1}, {"shard": (0, 2)}, {"shard": (1, 2)}):
        assert not set(first.tolist()) & set(seeds(**changes).tolist())
    a, b = (set(seeds(shard=(i, 2)).tolist()) for i in range(2))
    assert not a & b


@pytest.mark.parametrize("name", ["bytes", "lagged"])
def test_rows_are_those_of_grains_best_fit(encoders, corpus_of, name):
    """Packing is written out here for speed only: it has to fill rows as well as Grain's does, with the same pieces."""
    encoder = encoders[name]
    corpus = corpus_of(DOCUMENTS)
    ours = collections.Counter()
    for batch in batch_iterator(corpus, encoder, **SHAPE, epochs=1):
        for row, segments in zip(batch.tokens.targets_BxS, batch.tokens.segments_BxS, strict=True):
            ours[tuple(row[segments > 0].tolist())] += 1
    del ours[()]

    def elements(document):
        pieces = expected_pieces(encoder, [document.data], 64, 24)
        return [{"s": p.targets, "w": np.zeros(0 if name == "bytes" else p.units, np.int32)} for p in pieces]

    class Split(grain.experimental.FlatMapTransform):
        def flat_map(self, element):
            return elements(element)

    documents = grain.MapDataset.source(corpus.sources[0]).seed(0).shuffle().to_iter_dataset()
    pieces = grain.experimental.FlatMapIterDataset(documents, Split())
    packed = grain.experimental.BestFitPackIterDataset(pieces, length_struct={"s": 64, "w": 24}, num_packing_bins=8)
    theirs = collections.Counter(tuple(row["s"][row["s_segment_ids"] > 0].tolist()) for row in packed)
    assert ours == theirs


FIXED = [TEXT[i % 23 :] * (1, 1, 2, 7)[i % 4] + str(i).encode() for i in range(40)]
CHECKSUMS = {  # of the first 30 batches of training, and of all of an evaluation
    "bytes": (3075554483, 1762715742),
    "end_symbol": (14022259, 3967377552),
    "fused": (1445520870, 1571379973),
    "lagged": (2241313673, 3450509064),
    "model": (1180732070, 1387715457),
    "pairs": (1225611182, 1828512522),
    "revealed": (921701660, 1485439614),
    "slots": (2995232544, 1688732414),
    "words": (2663800067, 4029852807),
}


def checksum(tree):
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.ascontiguousarray(leaf), crc)
        crc = zlib.crc32(f"{np.asarray(leaf).dtype}{np.shape(leaf)}".encode(), crc)
    return crc


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_batches_are_those_of_earlier_runs(encoders, corpus_of, name):
    """Rows, their order and seeds, bit for bit: a run that is resumed or repeated learns from the same batches."""
    encoder = encoders.get(name) or SubwordEncoder(Pairs())
    iterator = batch_iterator(corpus_of(FIXED), encoder, **SHAPE, seed=5)
    training = checksum([next(iterator) for _ in range(30)])
    windows = eval_batches(FIXED, encoder, rows=4, symbols=64, units=24, overlap=0.5)
    evaluation = checksum([(batch, [dataclasses.astuple(each)[:-1] for each in scored]) for batch, scored in windows])
    assert (training, evaluation) == CHECKSUMS[name]


def test_states_of_earlier_runs_are_taken(encoders, corpus_of):
    """A run that was saved before there were second tokenisations goes on where it was."""
    state = {
        "pipeline": {"parent": {"next_index": 0}, "pieces": 0, "group": 0, "given": 1},
        "report": {
            "batches": 1, "symbols": 192, "symbol_capacity": 256, "units": 37, "unit_capacity": 96, "bytes_in": 191,
            "bytes_scored": 191, "documents": 1, "lossy_documents": 0, "empty_documents": 0,
        },
        "settings": {
            "source": ["memory0 train 60"], "weights": [1.0], "vocabulary": encoders["lagged"].vocabulary.fingerprint,
            "boundary": "lagged", "rows": 4, "symbols": 64, "units": 24, "packing_bins": 8, "seed": 0, "workers": 0,
            "shard": [0, 1], "epochs": None,
        },
    }  # fmt: skip
    resumed = batch_iterator(corpus_of(DOCUMENTS), encoders["lagged"], **SHAPE)
    resumed.set_state(state)
    assert resumed.report.bytes_in == 191 and resumed.report.other_symbols == 0
    again = batch_iterator(corpus_of(DOCUMENTS), encoders["lagged"], **SHAPE)
    next(again)
    jax.tree.map(np.testing.assert_array_equal, next(resumed), next(again))


@pytest.mark.parametrize("name", ["subword", "lagged"])
def test_resumed_equals_uninterrupted(encoders, corpus_of, name):
    """From any batch on, with packing, prefetch and half-read documents in between, over the end of an epoch too."""
    corpus = corpus_of(DOCUMENTS)

    def iterator():
        return batch_iterator(corpus, encoders[name], **SHAPE, seed=3)

    whole = iterator()
    states, batches = [], []
    for _ in range(60):
        states.append(json.loads(json.dumps(whole.get_state())))
        batches.append(next(whole))
    assert whole.report.documents > len(DOCUMENTS)
    assert {state["pipeline"]["pieces"] > 0 for state in states} == {True, False}  # in mid-document, and not
    for at in (0, 1, 2, 5, 13, 22, 59):
        resumed = iterator()
        resumed.set_state(states[at])
        for expected in batches[at:]:
            found = next(resumed)
            jax.tree.map(np.testing.assert_array_equal, found, expected)
        assert resumed.report == whole.report
    whole.set_state(states[7])  # also back, on an iterator in use
    jax.tree.map(np.testing.assert_array_equal, next(whole), batches[7])


def test_a_state_of_other_settings_is_refused(encoders, corpus_of):
    """Resuming with another batch size would silently skip or repeat text."""
    corpus = corpus_of(DOCUMENTS)
    state = batch_iterator(corpus, encoders["bytes"], **SHAPE).get_state()
    with pytest.raises(ValueError, match="does not fit this pipeline: symbols was 64 and is 32"):
        batch_iterator(corpus, encoders["bytes"], **(SHAPE | {"symbols": 32})).set_state(state)
    with pytest.raises(ValueError, match="vocabulary was"):
        batch_iterator(corpus, encoders["subword"], **SHAPE).set_state(state)


def test_processes_share_no_document(encoders, corpus_of):
    """Each process of a pod reads its part; together they read all, once."""
    corpus, encoder = corpus_of(DOCUMENTS), encoders["bytes"]
    pieces = collections.Counter()
    for index in range(3):
        part = batch_iterator(corpus, encoder, **SHAPE, shard=(index, 3), epochs=1)
        pieces.update(targets_by_segment(part))
        assert part.report.documents == len(DOCUMENTS) / 3
    whole = batch_iterator(corpus, encoder, **SHAPE, epochs=1)
    assert pieces == collections.Counter(targets_by_segment(whole))
    with pytest.raises(ValueError, match="60 documents, fewer than the 61 processes"):
        batch_iterator(corpus, encoder, **SHAPE, shard=(0, 61))


def test_order_is_of_the_seed_and_of_the_epoch(encoders, corpus_of):
    """Shuffled, the same for the same seed, another for another seed, and another in each epoch."""
    documents = [bytes([65 + i]) * 30 for i in range(26)]

    def order(seed, epochs=1):
        iterator = batch_iterator(corpus_of(documents), encoders["bytes"], rows=1, symbols=31, units=9,
                                  packing_bins=1, seed=seed, epochs=epochs)  # fmt: skip
        return "".join(chr(batch.tokens.targets_BxS[0, 0]) for batch in iterator)

    assert order(0) == order(0) != order(1)
    assert sorted(order(0)) == sorted(order(1)) == [chr(65 + i) for i in range(26)] != list(order(0))
    twice = order(0, epochs=2)
    assert twice[:26] == order(0) and sorted(twice[26:]) == sorted(twice[:26]) and twice[26:] != twice[:26]


def test_weights_are_shares_of_documents(encoders, corpus_of):
    """A mixture says how often to draw from a source, not how many bytes."""
    corpus = corpus_of([b"a" * 30] * 40, [b"b" * 30] * 4, weights=[0.75, 0.25])
    iterator = batch_iterator(corpus, encoders["bytes"], rows=4, symbols=31, units=9, packing_bins=4)
    drawn = collections.Counter(int(t) for _ in range(25) for t in next(iterator).tokens.targets_BxS[:, 0])
    assert drawn == {ord("a"): 75, ord("b"): 25}


class _Upper:
    """Lossy: it has no small letters."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary

    def encode(self, data):
        encoding = self._tokenizer.encode(data.upper())
        return Encoding(encoding.ids, encoding.nbytes, lossy=data.upper() != data)

    def to_bytes(self):
        return b""


def test_lossy_and_empty_documents_are_counted(encoders, corpus_of):
    """A tokenizer that changes text is used as it is, and said so; an empty document has nothing to learn from."""
    encoder = SubwordEncoder(_Upper(encoders["subword"].tokenizer))
    documents = [b"", b"ABC", b"abc", b"", b"Long " * 100, b""]
    iterator = batch_iterator(corpus_of(documents), encoder, **SHAPE, epochs=1)
    for _ in iterator:
        pass
    report = iterator.report
    assert (report.documents, report.lossy_documents, report.empty_documents) == (3, 2, 3)
    assert report.bytes_in == report.bytes_scored == 506


def test_a_byte_that_an_encoder_loses_shows_as_dropped(encoders, corpus_of):
    """The report measures against the raw documents, so a wrong encoder cannot hide behind its own count."""

    @dataclasses.dataclass(frozen=True)
    class Loses(SubwordEncoder):
        def measure(self, data, source="text"):
            return super().measure(data[:-1], source)

    iterator = batch_iterator(corpus_of([b"abc", b"defg"]), Loses(encoders["subword"].tokenizer), **SHAPE, epochs=1)
    next(iterator)
    assert iterator.report.bytes_dropped == 2


@pytest.mark.parametrize("second", [None, "bytes", "slots"])
def test_the_empty_batch_has_the_shapes_of_all_others(encoder, encoders, corpus_of, second):
    """A step is compiled for it before there is any data; another shape or type would be compiled again."""
    others = [] if second is None else [Tokenisation(encoders[second], 70, 26)]
    budgets = Budget.of(encoder, 64, 24), [other.budget for other in others]
    described = empty_batch(4, *budgets, array=lambda shape, _, dtype: jax.ShapeDtypeStruct(shape, dtype))
    batch = next(batch_iterator(corpus_of(DOCUMENTS), encoder, others, **SHAPE))
    assert jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), batch) == described
    empty = empty_batch(4, *budgets)
    units = None if budgets[0].W is None else 24
    expected = pack_rows([[]] * 4, symbols=64, units=units, pad=encoder.vocabulary.pad, others=budgets[1])
    expected = dataclasses.replace(expected, seeds_B=empty.seeds_B)
    jax.tree.map(np.testing.assert_array_equal, empty, expected)
    assert not empty.tokens.segments_BxS.any() and not empty.tokens.weights_BxS.any()


def test_train_iterator_follows_the_config(tmp_path, encoders):
    """The one call that training makes: a source by its string, rows divided among processes."""
    for i, data in enumerate(DOCUMENTS):
        (tmp_path / f"{i}.txt").write_bytes(data)
    config = default_config()
    config.data.source, config.data.cache = f"text:{tmp_path}/*.txt", str(tmp_path / "cache")
    config.data.rows, config.data.symbols, config.data.units = 6, 64, 24
    batch = next(train_iterator(config, encoders["lagged"], share=(1, 2)))
    assert batch.tokens.symbols_BxS.shape == (3, 64) and batch.tokens.units.segments_BxW.shape == (3, 24)
    assert next(train_iterator(config, encoders["bytes"])).tokens.units is None
    with pytest.raises(ValueError, match=r"data\.rows is 6, .* among 4 processes"):
        train_iterator(config, encoders["bytes"], share=(0, 4))
    config.data.source = "text:nowhere/*.txt"
    with pytest.raises(SourceError, match="nowhere"):
        train_iterator(config, encoders["bytes"])


WITH_WORKERS = """
import json, sys
import jax, numpy as np
from lexitok.config import default_config
from lexitok.data.batch import Tokenisation
from lexitok.data.encoders import make_encoder
from lexitok.data.pipeline import train_iterator

if __name__ == "__main__":
    config = default_config()
    config.data.source, config.data.cache = f"text:{sys.argv[1]}/*.txt", sys.argv[1] + "/cache"
    config.data.rows, config.data.symbols, config.data.units = 2, 64, 24
    config.data.packing_bins, config.data.workers = 4, 2
    encoder = make_encoder(config.text)
    others = [Tokenisation(encoder, 64, 24)]
    whole, resumed = train_iterator(config, encoder, others), train_iterator(config, encoder, others)
    for _ in range(5):
        next(whole)
    resumed.set_state(json.loads(json.dumps(whole.get_state())))
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, next(resumed), next(whole))
    assert resumed.report == whole.report and whole.report.bytes_dropped == 0
    batch = next(whole)
    np.testing.assert_array_equal(batch.others[0].tokens.targets_BxS, batch.tokens.targets_BxS)
    np.testing.assert_array_equal(batch.others[0].alignment.of_first_BxS, batch.others[0].alignment.of_second_BxT)
"""


@pytest.mark.slow
def test_worker_processes_resume_too(tmp_path):
    """Worker processes each pack a part of the documents; the state has to say where each of them is."""
    for i, data in enumerate(DOCUMENTS):
        (tmp_path / f"{i}.txt").write_bytes(data)
    (tmp_path / "script.py").write_text(WITH_WORKERS)  # of its own: shape checks at run time cannot be pickled
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
