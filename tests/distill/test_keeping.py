"""A teacher whose predictions are kept: the same losses as beside the student, of the same documents, or none."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pairs import COVERING, aligned_batch, made_losses, model_of, pair_of
from samples import slow_if

from lexitok.data.batch import Tokenisation
from lexitok.data.pipeline import batch_iterator
from lexitok.data.predictions import SETTINGS, Predictions, PredictionsError, open_predictions
from lexitok.data.sources import open_source
from lexitok.distill.keeping import Reading, keep_predictions, predicted
from lexitok.distill.pair import Pair, Side
from lexitok.distill.whole_logits import of_model, of_predictions
from lexitok.sharding import make_mesh
from lexitok.sharding.rows import put_rows

READING = Reading(rows=4, symbols=128, units=64, overlap=0.5, top_k=8, chunk=48)
TEXTS = [b"the inner ocean", b"Pack my box", b"a\n\nb", b"x", "ö世界 pack my box with five dozen".encode() * 12]
TEACHER = {"teacher": {"run": "runs/teacher", "step": 3, "fingerprint": "f", "dtype": "float32"}, "record": {}}
FEW = ("alm", "projected", "byte_prefix")
REST = tuple(name for name in COVERING if name not in FEW and not name.startswith(("dskd", "hidden_states")))


def predictions_of(read, found, top_k):
    """What would be kept of a batch that was read."""
    top, ids = jax.lax.top_k(of_model(read).make(read.hidden_BxSxD, read.bound.table_VxD), top_k)
    rest = jnp.exp(found.log_z_BxS - top[..., 0]) - jnp.sum(jnp.exp(top - top[..., :1]), axis=-1)
    log_rest = jnp.log(jnp.maximum(rest, 1e-30))
    return Predictions(found.nll_BxS, found.log_mass_BxSxG, (top - top[..., :1]).astype(jnp.float16), ids, log_rest)


@pytest.mark.parametrize("names", slow_if(lambda names: len(names) > 3, [FEW, REST]), ids=["few", "rest"])
def test_all_logits_kept_make_the_losses_that_the_model_makes(names):
    """Values and gradients: of whatever looks at predictions alone, but for the rounding to halves."""
    (ours, a), (theirs, b) = model_of("others"), model_of("pairs", 1)
    batch, V = aligned_batch(a, b), b.vocabulary.size
    losses = made_losses(names, (a, b))

    @jax.jit
    def both(ours, theirs, batch):
        def means(hidden, kept):
            pair = pair_of(ours, theirs, batch, (a, b))
            read = dataclasses.replace(pair.student.model, hidden_BxSxD=hidden)
            student, teacher = dataclasses.replace(pair.student, read=read), pair.teacher
            if kept:
                there = predictions_of(teacher.model, teacher.found, V)
                teacher = Side.of_predictions(dataclasses.replace(batch.others[0], predictions=there), V)
            found = jnp.stack([loss(Pair(student, teacher)).mean for loss in losses.values()])
            return jnp.sum(found), found

        hidden = pair_of(ours, theirs, batch, (a, b)).student.model.hidden_BxSxD
        return [jax.grad(means, has_aux=True)(hidden, kept) for kept in (False, True)]

    beside, kept = both(ours, theirs, batch)
    np.testing.assert_allclose(kept[1], beside[1], rtol=2e-3)
    scale = np.abs(beside[0]).max()
    np.testing.assert_allclose(kept[0] / scale, beside[0] / scale, atol=5e-3)


@pytest.mark.slow
def test_the_mesh_does_not_matter():
    """What was kept is split with its rows."""
    (ours, a), (theirs, b) = model_of("others"), model_of("pairs", 1)
    batch, losses = aligned_batch(a, b), made_losses(FEW, (a, b))

    def of(ours, theirs, batch):
        pair = pair_of(ours, theirs, batch, (a, b))
        there = predictions_of(pair.teacher.model, pair.teacher.found, 8)
        kept = Side.of_predictions(dataclasses.replace(batch.others[0], predictions=there), b.vocabulary.size)
        return [loss(Pair(pair.student, kept)).mean for loss in losses.values()]

    alone = jax.jit(of)(ours, theirs, batch)
    with jax.set_mesh(make_mesh(data=2, fsdp=2, tensor=2)):
        split = jax.jit(of)(ours, theirs, put_rows(jax.device_get(batch)))
    np.testing.assert_allclose(split, alone, rtol=1e-3)  # halves may be rounded to either side


def test_what_is_not_kept_is_shared_among_all_other_symbols():
    """Mass is conserved, and what is kept has its own."""
    model, encoder = model_of("pairs", 1)
    documents = [b"the inner ocean", b""]
    for top_k in (1, 5):
        for number, found in predicted(model, encoder, documents, READING._replace(top_k=top_k)):
            targets = encoder.encode(documents[number]).symbols
            assert len(found.nll_BxT) == len(targets)
            row = jax.tree.map(lambda x: jnp.asarray(x)[None], found)
            source = of_predictions(row, encoder.vocabulary.size)
            log_p = np.asarray(jax.nn.log_softmax(source.make(source.at_BxS, source.shared)))[0]
            kept = np.take_along_axis(log_p, found.top_ids_BxTxk, axis=1)
            is_kept = (found.top_ids_BxTxk == targets[:, None]).any(axis=1)
            at_targets = np.take_along_axis(log_p, targets[:, None], axis=1)[:, 0]
            np.testing.assert_allclose(-at_targets[is_kept], found.nll_BxT[is_kept], atol=2e-3)
            others = np.sort(log_p, axis=1)[:, : encoder.vocabulary.size - top_k]
            np.testing.assert_allclose(others, others[:, :1] * np.ones_like(others), rtol=1e-6)
            assert (kept.min(axis=1) >= others.max(axis=1)).all()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Texts, of which one is longer than a row."""
    root = tmp_path_factory.mktemp("kept")
    (root / "texts").mkdir()
    for i in range(12):
        (root / "texts" / f"{i}.txt").write_bytes(TEXTS[i % len(TEXTS)] + str(i).encode())
    return root


def corpus_of(root):
    return open_source(f"text:{root}/texts/*.txt", "train", cache=root / "cache")


def keep(root, folder, teacher=TEACHER, reading=READING, **how):
    model, encoder = model_of("pairs", 1)
    return keep_predictions(folder, model, encoder, corpus_of(root), reading, teacher, documents=3, **how)


@pytest.fixture(scope="module")
def kept(root):
    list(keep(root, root / "kept"))
    return open_predictions(root / "kept")


def batches_of(root, kept, **how):
    (_, a), (_, b) = model_of("bytes"), model_of("pairs")
    second = Tokenisation(b, 96, 1, kept)
    settings = {"rows": 2, "symbols": 128, "units": 1, "packing_bins": 4, "epochs": 1} | how
    return batch_iterator(corpus_of(root), a, [second], **settings)


def test_batches_have_the_predictions_of_their_targets(root, kept):
    """Wherever a document was cut, and in whichever row it is; nothing else of a batch changes."""
    expected, total = set(), 0
    for document in kept.beside(corpus_of(root)).documents():
        targets = model_of("pairs")[1].encode(document.data).symbols.tolist()
        found = kept.of(document, len(targets))
        expected |= {(tuple(targets[: i + 1]), float(nll)) for i, nll in enumerate(found.nll_BxT)}
        total += len(targets)
    count = 0
    for batch, plain in zip(batches_of(root, kept), batches_of(root, None), strict=True):
        (other,) = batch.others
        without = dataclasses.replace(batch, others=(dataclasses.replace(other, predictions=None),))
        jax.tree.map(np.testing.assert_array_equal, without, plain)
        tokens, predictions = other.tokens, other.predictions
        assert predictions.top_ids_BxTxk.shape == (2, 96, READING.top_k)
        for row in range(2):
            for at in np.flatnonzero(tokens.segments_BxS[row]):
                position = int(tokens.positions_BxS[row, at])
                piece = tuple(tokens.targets_BxS[row, at - position : at + 1].tolist())
                nll = float(predictions.nll_BxT[row, at])
                assert any(nll == x and past[-len(piece) :] == piece for past, x in expected)
                count += 1
    assert count == total


def test_batches_go_on_where_they_were_and_are_shared(root, kept):
    """Resumed, they are those of one that was not stopped; of two processes each has half of the documents."""
    whole, stopped = (iter(batches_of(root, kept)) for _ in range(2))
    first = next(stopped)
    again = iter(batches_of(root, kept))
    again.set_state(stopped.get_state())
    jax.tree.map(np.testing.assert_array_equal, first, next(whole))
    jax.tree.map(np.testing.assert_array_equal, next(again), next(whole))
    shares = [batch for i in range(2) for batch in batches_of(root, kept, shard=(i, 2))]
    targets = sum(int((batch.others[0].tokens.segments_BxS > 0).sum()) for batch in shares)
    assert targets == sum(int((batch.others[0].tokens.segments_BxS > 0).sum()) for batch in batches_of(root, kept))


def test_what_was_stopped_goes_on(root, kept, tmp_path):
    """It is refused until it is whole; parts that are made side by side are those of one."""
    making = keep(root, tmp_path)
    next(making)
    making.close()
    with pytest.raises(PredictionsError, match="the first 3 of 11 documents"):
        batches_of(root, open_predictions(tmp_path))
    for share in ((1, 2), (0, 2)):
        list(keep(root, tmp_path, share=share))
    assert open_predictions(tmp_path).fingerprint == kept.fingerprint
    for file in sorted((kept.path / "source-0").iterdir()):
        assert (tmp_path / "source-0" / file.name).exists()
    for a, b in zip(batches_of(root, open_predictions(tmp_path)), batches_of(root, kept), strict=True):
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_predictions_of_something_else_are_refused(root, kept, tmp_path):
    """Another text, another number of documents, another tokenizer, another teacher, a file that is cut, no folder."""
    other = tmp_path / "other"
    (other / "texts").mkdir(parents=True)
    for i in range(12):
        (other / "texts" / f"{i}.txt").write_bytes(b"something else")
    with pytest.raises(PredictionsError, match=r"\.txt: what .* has for it does not fit: it is of another text"):
        next(iter(batches_of(other, kept)))
    (other / "texts" / "more.txt").write_bytes(b"more")
    (other / "texts" / "again.txt").write_bytes(b"again")
    with pytest.raises(PredictionsError, match=r"is of sources of \[11\] documents, and data.source has \[13\]"):
        batches_of(other, kept)
    record = predicted(*model_of("pairs", 1), [b"the inner"], READING)
    (_, found) = next(record)
    with pytest.raises(ValueError, match="targets are"):
        Predictions.from_bytes(found.to_bytes(b"the inner", 300), b"the inner", len(found.nll_BxT) + 1, 300, 8)
    with pytest.raises(PredictionsError, match="holds predictions of another teacher"):
        list(keep(root, kept.path, TEACHER | {"teacher": {}}))
    with pytest.raises(PredictionsError, match="holds predictions of another top_k"):
        list(keep(root, kept.path, reading=READING._replace(top_k=4)))
    with pytest.raises(PredictionsError, match="top_k is 1000, of a vocabulary of"):
        list(keep(root, tmp_path / "large", reading=READING._replace(top_k=1000)))
    with pytest.raises(PredictionsError, match="holds no predictions of a teacher"):
        open_predictions(tmp_path)
    for content in ("{", "{}"):
        (tmp_path / SETTINGS).write_text(content)
        with pytest.raises(PredictionsError, match="holds no predictions of a teacher"):
            list(keep(root, tmp_path))
    cut = tmp_path / "cut"
    (cut / "source-0").mkdir(parents=True)
    (cut / SETTINGS).write_text(json.dumps(kept.settings))
    (cut / "source-0" / "000000000.array_record").write_bytes(b"nothing")
    with pytest.raises(PredictionsError, match="000000000.array_record cannot be read"):
        batches_of(root, open_predictions(cut))
