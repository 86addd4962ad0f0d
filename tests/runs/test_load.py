"""A model comes back from a run directory as it was, on any devices."""

import jax
import numpy as np
import optax
import pytest
from samples import TEXT, small_config

from lexitok.analysis import RunError, byte_bits, load_model, page_of, read_run, surprisal_page
from lexitok.config.files import to_json
from lexitok.data.encoders import make_encoder
from lexitok.evals import evaluate
from lexitok.models.build import model_for
from lexitok.runs.checkpoints.files import CheckpointError, RunRecord
from lexitok.runs.checkpoints.manager import Checkpoints
from lexitok.runs.load import load_ensemble
from lexitok.sharding import make_mesh
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.state import StateMaker


def save_run(path, kind="hat_v2", *, ema=0.0, edit=None, text=(TEXT,) * 20, broken=None):
    """A checkpoint of random parameters, as training saves it."""
    subword = kind == "subword"
    config = small_config("bytes" if subword else kind)
    config.train.ema = ema
    vocabulary = b""
    if subword:
        config.text.kind, config.text.vocabulary.size = "subword", 300
        vocabulary = SentencePieceTokenizer.train(text, kind="bpe", size=300).to_bytes()
    tokenizer = SentencePieceTokenizer.from_bytes(vocabulary) if subword else None
    encoder = make_encoder(config.text, tokenizer)
    mesh = make_mesh(fsdp=8, data=1)
    make, optimizer = model_for(config, encoder), optax.adam(1e-3)
    states = StateMaker(make, optimizer, ema=ema)
    state = states.init(states.abstract(mesh), 3)
    if ema:
        state.ema.interface.table.set_value(state.ema.interface.table[...] + 1)
    if broken is not None:
        scale = state.trained.backbone.norm.scale
        scale.set_value(scale[...].at[3].set(broken))
    with Checkpoints(path, RunRecord(config, vocabulary)) as checkpoints:
        checkpoints.save(7, state)
    if edit:
        edit(config)
    (path / "config.json").write_text(to_json(config))
    return state, encoder


@pytest.mark.parametrize("kind", [pytest.param("hat_v1", marks=pytest.mark.slow), "subword"])
def test_a_loaded_model_scores_as_the_one_that_was_saved(tmp_path, kind):
    """A notebook on one device has to see the model that eight devices trained, with its own vocabulary."""
    state, encoder = save_run(tmp_path, kind)
    model, loaded_encoder = load_model(read_run(tmp_path))
    assert loaded_encoder.vocabulary == encoder.vocabulary
    saved = jax.device_put(jax.device_get(state.model))
    bits = [byte_bits(m, encoder, TEXT, symbols=48, units=32) for m in (saved, model)]
    np.testing.assert_allclose(*bits, rtol=1e-5)
    assert all(len(leaf.sharding.device_set) == 1 for leaf in jax.tree.leaves(model))
    note = "spread evenly" if kind == "subword" else "bits of its bytes"
    assert note in page_of(model, encoder, TEXT, symbols=48, units=32)


def test_a_mesh_that_is_set_gets_the_model_split(tmp_path):
    """A model that needs several devices cannot be put on one."""
    state, _ = save_run(tmp_path, "bytes")
    with jax.set_mesh(make_mesh(data=2, fsdp=2, tensor=2)):
        model, _ = load_model(tmp_path)
    assert any(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(model))
    for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(state.model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_average_is_loaded_where_there_is_one(tmp_path):
    """It is what the run's evaluations are of."""
    state, _ = save_run(tmp_path, "bytes", ema=0.9)
    np.testing.assert_array_equal(load_model(tmp_path)[0].interface.table[...], state.ema.interface.table[...])


def test_bits_of_bytes_add_up_to_the_evaluation(tmp_path):
    """The page and the table would else contradict each other."""
    save_run(tmp_path, "bytes")
    model, encoder = load_model(tmp_path)
    window = {"symbols": 48, "units": 32, "overlap": 0.5}
    bits = byte_bits(model, encoder, TEXT * 2, **window)
    whole = evaluate(model, encoder, [TEXT * 2], rows=2, **window)
    assert bits.shape == (len(TEXT) * 2,) and bits.mean() == pytest.approx(whole.bpb, rel=1e-5)
    assert f"{whole.bpb:.3f} bits per byte" in surprisal_page(TEXT * 2, bits)


def test_a_checkpoint_of_another_version_is_named(tmp_path):
    """Parameters must never be filled in by order alone."""
    save_run(tmp_path, "bytes")
    config = tmp_path / "checkpoints" / "7" / "extra" / "metadata"
    config.write_text(config.read_text().replace('"F": 24', '"F": 32').replace('"F":24', '"F":32'))
    (tmp_path / "checkpoints" / "7" / "files.json").write_text("{}")
    with pytest.raises(RunError, match=r"backbone.layers.*: checkpoint .*24.*, model .*32"):
        load_model(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_named(tmp_path, value):
    """Everything that a broken model is asked is answered by NaN."""
    save_run(tmp_path, "bytes", broken=value)
    with pytest.raises(RunError, match=r"step 7 of .*: parameter 'backbone.norm.scale' has 1 values that are not"):
        load_model(tmp_path)


@pytest.mark.slow
def test_an_ensemble_is_of_runs_of_the_same_symbols(tmp_path):
    """Equal bytes in equal units; else a position of one is not that of the other."""
    for name, kind in (("a", "bytes"), ("b", "bytes"), ("c", "hat_v2")):
        (tmp_path / name).mkdir()
        save_run(tmp_path / name, kind)
    ensemble, encoder = load_ensemble([tmp_path / "a", tmp_path / "b"])
    alone, _ = load_model(tmp_path / "a")
    how = {"rows": 2, "symbols": 48, "units": 32, "overlap": 0.5}
    both, one = (evaluate(model, encoder, [TEXT * 2], **how).bpb for model in (ensemble, alone))
    assert both == pytest.approx(one, rel=1e-5)  # runs of the same parameters
    with pytest.raises(RunError, match="c has another (vocabulary|way to cut texts into units) than .*a"):
        load_ensemble([tmp_path / "a", tmp_path / "c"])


def test_a_run_without_checkpoints_says_so(tmp_path):
    """A run that was stopped before its first checkpoint is common."""
    (tmp_path / "config.json").write_text(to_json(small_config("bytes")))
    with pytest.raises(CheckpointError, match="no checkpoints"):
        load_model(tmp_path)
