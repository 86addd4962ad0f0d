"""Batches under drawn tokenizers: every byte once, whole batches whatever the share, one language a batch if asked."""

import collections
import itertools
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from lexitok.config import default_config
from lexitok.config.files import to_json
from lexitok.data.batch import Tokenisation
from lexitok.data.drawn import Drawing, drawn_iterator, make_drawing
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.pipeline import batch_iterator, train_iterator
from lexitok.data.spelling import Spelled
from lexitok.text.drawn.sampler import SamplerSettings
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.matching import NONE

SOURCE = UnigramTokenizer([*(bytes([i]) for i in range(256)), b"th", b" w", b"12"], np.full(259, -5.0))
BESIDE = UnigramTokenizer([*(bytes([i]) for i in range(256)), b"h0", b" w1", b"j1"], np.full(259, -5.0))
TINY = Drawing(SamplerSettings(size=320, window_bytes=400, longest=5, whitespace=2), parts=5)
SHAPE = {"rows": 4, "symbols": 24}


def some_documents(count=24, name="w"):
    """Of unique words, so that where each has gone can be told; two are empty, one is a word, one no UTF-8."""
    lengths = np.random.default_rng(0).choice([1, 4, 15, 60], count)
    texts = [" ".join(f"{name}{i}th{j}雪" for j in range(n)).encode() for i, n in enumerate(lengths)]
    texts[3] = texts[9] = b""
    texts[5] += b"\xff\xfe \x80"
    return texts


DOCUMENTS = some_documents()


def iterator(corpus, drawing=TINY, **changes):
    return drawn_iterator(corpus, SOURCE, drawing, **SHAPE | changes)


def token_bytes(batch):
    """The bytes of each id, from the parts that the batch's vocabulary says."""
    assert batch.vocabulary.parts_VxP.dtype == np.int32 and batch.vocabulary.parts_VxP.shape[1] == 5
    source = SOURCE.vocabulary.token_bytes
    return [b"".join(source[i] for i in row[row != NONE]) for row in batch.vocabulary.parts_VxP]


def texts_of(batch):
    """The bytes of every piece."""
    of_id = token_bytes(batch)
    for segments, targets in zip(batch.tokens.segments_BxS, batch.tokens.targets_BxS, strict=True):
        for number in range(1, segments.max() + 1):
            yield b"".join(of_id[i] for i in targets[segments == number])


def equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_an_epoch_has_every_byte_once(corpus_of):
    """Under a tokenizer that is another for each batch; and what the report says of it is so."""
    made = iterator(corpus_of(DOCUMENTS), epochs=1)
    batches = list(made)
    pieces = [text for batch in batches for text in texts_of(batch)]
    assert collections.Counter(b"".join(pieces)) == collections.Counter(b"".join(DOCUMENTS))
    words = collections.Counter(word for text in pieces for word in text.split())
    assert words == collections.Counter(word for document in DOCUMENTS for word in document.split())
    total, report = sum(map(len, DOCUMENTS)), made.report
    assert report.bytes_in == report.bytes_scored == total == sum(int(b.tokens.bytes_BxS.sum()) for b in batches)
    assert report.documents == len(DOCUMENTS) - 2 and report.empty_documents == 2 and report.lossy_documents == 0
    assert report.batches == len(batches) > 8 and report.metrics()["data/fraction_scored"] == 1
    filled = sum(np.count_nonzero(batch.tokens.segments_BxS) for batch in batches)
    assert report.symbols == filled > 0.7 * report.symbol_capacity == 0.7 * len(batches) * 4 * 24
    assert len({batch.vocabulary.parts_VxP.tobytes() for batch in batches}) == len(batches)
    ends = sum(int((batch.tokens.targets_BxS[batch.tokens.segments_BxS > 0] == 1).sum()) for batch in batches)
    assert ends == report.documents  # `eot`, once each


def test_a_second_tokenisation_is_of_the_same_bytes(corpus_of):
    """Piece by piece and span by span, every byte once on both sides, and from any batch on again."""
    second = Tokenisation(SubwordEncoder(BESIDE), 28, 1)
    made = iterator(corpus_of(DOCUMENTS), epochs=1, others=[second])
    states, batches = [], []
    for batch in made:
        states.append(json.dumps(made.get_state()["pipeline"]))
        batches.append(batch)
    beside, pieces = BESIDE.vocabulary.token_bytes, []
    for batch in batches:
        of_id = token_bytes(batch)
        for row in range(4):
            sides = [
                (batch.tokens, batch.others[0].alignment.of_first_BxS, of_id),
                (batch.others[0].tokens, batch.others[0].alignment.of_second_BxT, beside),
            ]
            ids = [(tokens.targets_BxS[row], tokens.segments_BxS[row], of[row] + 1) for tokens, of, _ in sides]
            texts, spans = (
                [_joined(i[0], i[part], spelled) for i, (_, _, spelled) in zip(ids, sides, strict=True)]
                for part in (1, 2)
            )
            assert texts[0] == texts[1] and spans[0] == spans[1] and len(spans[0]) >= len(texts[0])
            pieces += texts[0].values()
    assert collections.Counter(b"".join(pieces)) == collections.Counter(b"".join(DOCUMENTS))
    assert made.report.metrics()["data/other_fraction_scored"] == 1
    halves = [iterator(corpus_of(DOCUMENTS), epochs=1, others=[second], share=(i, 2)) for i in range(2)]
    for batch, *of_shares in zip(batches, *halves, strict=True):  # what two processes get
        for name in ("tokens", "others"):
            parts = [getattr(each, name) for each in of_shares]
            equal(jax.tree.map(lambda *x: np.concatenate(x), *parts), getattr(batch, name))
    settings = made.get_state()["settings"]
    resumed = iterator(corpus_of(DOCUMENTS), epochs=1, others=[second])
    resumed.set_state({"pipeline": json.loads(states[4]), "report": {}, "settings": settings})
    equal(next(resumed), batches[5])
    with pytest.raises(ValueError, match="second"):
        iterator(corpus_of(DOCUMENTS), epochs=1).set_state(
            {"pipeline": json.loads(states[4]), "report": {}, "settings": settings}
        )


def test_tokens_that_never_end_together_are_refused(corpus_of):
    """What is to be enlarged is said, and of which document."""
    second = Tokenisation(SubwordEncoder(BESIDE), 2, 1)
    with pytest.raises(ValueError, match=r"symbols of all end is \d+ and \d+ .*teacher.symbols"):
        list(iterator(corpus_of(["雪雪雪".encode()]), epochs=1, others=[second]))


def _joined(targets, groups, spelled):
    """The bytes of each group but 0, by its number."""
    return {int(g): b"".join(spelled[i] for i in targets[groups == g]) for g in np.unique(groups) if g > 0}


@pytest.mark.parametrize("documents", [[b"a"], [b"word"], [b"", b"\xff"], ["雪".encode() * 30], [b" " * 50]], ids=repr)
def test_little_text_is_not_lost(corpus_of, documents):
    """Shorter than a token, one word, no UTF-8, without a word's end: all of it is a batch."""
    made = iterator(corpus_of(documents), epochs=1)
    found = b"".join(text for batch in made for text in texts_of(batch))
    assert len(found) == made.report.bytes_scored == sum(map(len, documents))


@pytest.mark.parametrize("drawing", [TINY, Drawing(TINY.settings, 5, "apart")], ids=["mixed", "apart"])
def test_resumed_equals_uninterrupted(corpus_of, drawing):
    """From any batch on, with what was prepared ahead, over the end of an epoch; the state is small."""
    corpus = corpus_of(DOCUMENTS[:14], some_documents(10, name="v"), weights=[2.0, 1.0])
    whole = iterator(corpus, drawing, seed=3, epochs=2)
    states, batches = [], []
    for batch in whole:
        states.append(json.dumps(whole.get_state()["pipeline"]))
        batches.append(batch)
    assert len(batches) > 20 and max(map(len, states)) < 400
    states = [iterator(corpus, drawing, seed=3, epochs=2).get_state()["pipeline"], *map(json.loads, states)]
    settings = whole.get_state()["settings"]
    for at in (0, 7, len(batches) - 2):
        resumed = iterator(corpus, drawing, seed=3, epochs=2)
        resumed.set_state({"pipeline": states[at], "report": {}, "settings": settings})
        found = list(itertools.islice(resumed, 6))
        assert len(found) == min(6, len(batches) - at)
        for one, other in zip(found, batches[at:], strict=False):
            equal(one, other)
        resumed.close()


@pytest.mark.parametrize("shares", [2, 4])
def test_shares_are_the_rows_of_one_batch(corpus_of, shares):
    """Every device has the whole vocabulary, so processes have to draw the same; and their number changes nothing."""
    corpus = corpus_of(DOCUMENTS)
    whole = iterator(corpus, epochs=1)
    parts = [iterator(corpus, share=(i, shares), epochs=1) for i in range(shares)]
    for batch, *of_shares in zip(whole, *parts, strict=True):
        for part in of_shares:
            equal(part.vocabulary, batch.vocabulary)
        rows = [(part.tokens, part.seeds_B) for part in of_shares]
        equal(jax.tree.map(lambda *x: np.concatenate(x), *rows), (batch.tokens, batch.seeds_B))
    for name in ("symbols", "symbol_capacity", "bytes_in", "bytes_scored", "documents", "empty_documents"):
        assert sum(getattr(part.report, name) for part in parts) == getattr(whole.report, name)
    with pytest.raises(ValueError, match="4 rows cannot be divided among 3 processes"):
        iterator(corpus, share=(0, 3))


def test_languages_are_apart(corpus_of):
    """A batch and its vocabulary are of one source, and sources have their share of the batches, to their end."""
    corpus = corpus_of(some_documents(name="w"), some_documents(name="z"), weights=[3.0, 1.0])
    batches = list(iterator(corpus, Drawing(TINY.settings, 5, "apart"), epochs=1))
    languages = [int(batch.vocabulary.language) for batch in batches]
    assert [languages[:8].count(number) for number in (0, 1)] == [6, 2] and set(languages) == {0, 1}
    for language, batch in zip(languages, batches, strict=True):
        other = b"zw"[language : language + 1]
        assert not any(other in text for text in texts_of(batch))
        assert not any(other in token for token in token_bytes(batch) if len(token) > 1)
    total = sum(len(text) for batch in batches for text in texts_of(batch))
    assert total == sum(map(len, [*some_documents(name="w"), *some_documents(name="z")]))
    together = list(iterator(corpus, epochs=1))
    assert {int(batch.vocabulary.language) for batch in together} == {0}


def test_seeds_change_what_is_drawn(corpus_of):
    """The order of the text and the noise; and rows have seeds of their own."""
    first, again, other = (next(iterator(corpus_of(DOCUMENTS), seed=seed)) for seed in (0, 0, 1))
    equal(first, again)
    assert not np.array_equal(first.vocabulary.parts_VxP, other.vocabulary.parts_VxP)
    noisier = Drawing(SamplerSettings(size=320, window_bytes=400, longest=5, whitespace=2, noise=0.1), parts=5)
    (one,) = {len(set(b.seeds_B.tolist())) for b in (first, other)}
    assert one == 4
    assert not np.array_equal(
        first.vocabulary.parts_VxP, next(iterator(corpus_of(DOCUMENTS), noisier)).vocabulary.parts_VxP
    )


def test_states_of_other_pipelines_are_refused(corpus_of):
    """Another sampler, another source of parts, or no drawing at all: text would be repeated or left out."""
    corpus = corpus_of(DOCUMENTS)
    state = iterator(corpus).get_state()
    with pytest.raises(ValueError, match="tokenizers was .* and is "):
        iterator(corpus, Drawing(TINY.settings, parts=4)).set_state(state)
    own = batch_iterator(corpus, SubwordEncoder(SOURCE), **SHAPE, units=1)
    with pytest.raises(ValueError, match="tokenizers was .* and is None"):
        own.set_state(state)
    with pytest.raises(ValueError, match="tokenizers was None and is "):
        iterator(corpus).set_state(own.get_state())


def test_settings_that_cannot_be_are_refused():
    c = default_config().data.drawn
    with pytest.raises(ValueError, match=r"data\.drawn\.source is empty"):
        make_drawing(c)
    c.source = "some.model"
    for name, value, message in (
        ("languages", "together", "'together'; there are mixed, apart"),
        ("parts", 0, r"data\.drawn\.parts is 0"),
        ("size", 200, "size is 200"),
        ("stride", 0, "stride of 0"),
    ):
        changed = c.copy_and_resolve_references()
        changed[name] = value
        with pytest.raises(ValueError, match=message):
            make_drawing(changed)
    assert make_drawing(c) == Drawing(SamplerSettings())  # the defaults are one and the same


def test_spelled_tokens_are_forgotten_in_the_order_of_use(corpus_of):
    """What is remembered is bounded, and changes nothing."""
    spelled, all_of_it = Spelled(SOURCE, 5, remembered=30), Spelled(SOURCE, 5)
    tokenizers = [UnigramTokenizer([*(bytes([i]) for i in range(256)), b"xyz", f"q{i}".encode()], np.full(258, -4.0))
                  for i in range(40)]  # fmt: skip
    for tokenizer in tokenizers:
        equal(spelled(tokenizer.vocabulary), all_of_it(tokenizer.vocabulary))
    assert len(spelled._known) == 30 and b"xyz" in spelled._known and b"q9" not in spelled._known
    assert spelled.asked == 80 and spelled.worked_out == 41


def config_for(folder, **changes):
    config = default_config()
    for i, data in enumerate(filter(None, DOCUMENTS)):
        (folder / f"{i}.txt").write_bytes(data)
    (folder / "source.model").write_bytes(SOURCE.to_bytes())
    config.data.source, config.data.cache = f"text:{folder}/*.txt", str(folder / "cache")
    config.data.update({"rows": 4, "symbols": 24, "tokenizers": "drawn", **changes})
    config.data.drawn.update(
        {"source": str(folder / "source.model"), "size": 320, "window_bytes": 400, "whitespace": 2}
    )
    return config


def test_train_iterator_follows_the_config(tmp_path):
    """The one call that training makes."""
    config, encoder = config_for(tmp_path), SubwordEncoder(SOURCE)
    batch = next(train_iterator(config, encoder, share=(1, 2)))
    assert batch.tokens.symbols_BxS.shape == (2, 24) and batch.vocabulary.parts_VxP.shape == (320, 8)
    equal(batch.tokens, jax.tree.map(lambda x: x[2:], next(train_iterator(config, encoder)).tokens))
    config.data.drawn.source = str(tmp_path / "nowhere.model")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train_iterator(config, encoder)


WITH_WORKERS = """
import json, sys
import jax, numpy as np
from lexitok.config.files import from_json
from lexitok.data.encoders import SubwordEncoder
from lexitok.data.pipeline import train_iterator
from lexitok.text.tokenizer_files import load_tokenizer

if __name__ == "__main__":
    config = from_json(open(sys.argv[1]).read())
    encoder = SubwordEncoder(load_tokenizer(config.data.drawn.source))
    whole, resumed = train_iterator(config, encoder), train_iterator(config, encoder)
    found = [next(whole).vocabulary.parts_VxP.tobytes() for _ in range(5)]
    assert len(set(found)) == 5
    resumed.set_state(json.loads(json.dumps(whole.get_state())))
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, next(resumed), next(whole))
    assert resumed.report == whole.report and whole.report.bytes_dropped == 0
"""


@pytest.mark.slow
def test_worker_processes_resume_too(tmp_path):
    """Each has a window and a place of its own; the state has to say where each of them is."""
    (tmp_path / "config.json").write_text(to_json(config_for(tmp_path, workers=2)))
    (tmp_path / "script.py").write_text(WITH_WORKERS)  # of its own: shape checks at run time cannot be pickled
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "config.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
