"""Runs that begin with the parameters of others, and parts that are not trained."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from samples import TEXT, slow_if, small_config

from lexitok.data.encoders import make_encoder
from lexitok.parameter_axes import axes_by_name, kind_of
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.files import CheckpointError
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.load import load_model
from lexitok.runs.parameters import read_parameters
from lexitok.runs.run import RunError
from lexitok.runs.vocabularies import VocabularyMismatchError, check_same_vocabulary
from lexitok.training.loop import train
from lexitok.training.setup import make_setup
from lexitok.training.state import SetupError


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[ConfigDict, str]:
    """The config of a small model of bytes in units, and its run of two steps."""
    root = tmp_path_factory.mktemp("start")
    (root / "texts").mkdir()
    for i in range(24):
        (root / "texts" / f"{i}.txt").write_bytes(TEXT)
    c = small_config("spacebyte")
    c.data.source, c.data.cache = f"text:{root}/texts/*.txt", str(root / "cache")
    c.data.rows, c.data.symbols, c.data.units, c.data.packing_bins = 8, 128, 96, 8
    c.train.steps, c.train.eval_every, c.optimizer.warmup = 2, 0, 0
    train(c, root / "run")
    return c, str(root / "run")


def changed(c: ConfigDict, **start: str) -> ConfigDict:
    c = c.copy_and_resolve_references()
    c.train.start.update(start)
    return c


def parameters(c: ConfigDict) -> dict[str, np.ndarray]:
    return names(jax.device_get(to_dicts(make_setup(c).init_state().model)))


def test_a_run_begins_as_another_ended(trained):
    """Every parameter is that of the other run's checkpoint, and no other state is."""
    c, run = trained
    state = make_setup(changed(c, run=run)).init_state()
    saved = read_parameters(run).parameters
    for name, x in names(jax.device_get(to_dicts(state.model))).items():
        np.testing.assert_array_equal(x, saved[name], err_msg=name)
    assert int(state.step) == 0


def test_a_part_is_taken_for_a_part_of_another_name(trained):
    """What is not taken is what a fresh run would begin with; here the decoder's layers begin as the encoder's."""
    c, run = trained
    saved, fresh = read_parameters(run).parameters, parameters(c)
    found = parameters(changed(c, run=run, part="stage.encoder.layers", at="stage.decoder.layers"))
    taken = [name for name in found if name.startswith("stage.decoder.layers.")]
    assert taken
    for name, x in found.items():
        source = saved[name.replace("decoder", "encoder")] if name in taken else fresh[name]
        np.testing.assert_array_equal(x, source, err_msg=name)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"part": "stage.backbone"}, r"takes 'stage.backbone' of .* for 'the whole model', which has other parameters"),
        ({"part": "stage.backbone", "at": "stage.encoder"}, r"stage.encoder.layers.* there .*, here .* more"),
        ({"part": "stage.back", "at": "stage.back"}, r"takes 'stage.back' .* none at all"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(trained, start, message):
    """With the first that differ: a model that is partly another's would train, and nobody would know."""
    c, run = trained
    with pytest.raises(SetupError, match=message):
        make_setup(changed(c, run=run, **start)).init_state()


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.slow
def test_frozen_parts_are_not_trained(trained, tmp_path, optimizer):
    """The backbone stays bit for bit what it was, all else moves, and its gradient is not in the norm."""
    c, run = trained
    c = changed(c, run=run)
    c.optimizer.frozen, c.optimizer.name = ("stage.backbone", "interface.head"), optimizer
    train(c, tmp_path / "frozen")
    before, after = (read_parameters(path).parameters for path in (run, tmp_path / "frozen"))
    for name, x in after.items():
        still = name.startswith("stage.backbone.") or name == "interface.head"
        assert (x == before[name]).all() == still, name
    moments = names(to_dicts(make_setup(c).abstract_state.optimizer))
    assert any("stage.decoder" in name for name in moments) and not any("stage.backbone" in name for name in moments)


def test_parts_to_freeze_have_to_be_there(trained):
    """A name that is not the model's would freeze nothing."""
    c = trained[0].copy_and_resolve_references()
    c.optimizer.frozen = ("backbone",)
    with pytest.raises(SetupError, match=r"the model has no part 'backbone'; there are .*stage.backbone.layers"):
        make_setup(c).step()


@pytest.mark.slow
def test_what_is_fixed_is_kept_by_its_origin(trained, tmp_path):
    """A checkpoint of a large frozen backbone holds no copy of it; what it was is checked where it comes from."""
    c, run = trained
    origin, tuned = tmp_path / "origin", tmp_path / "tuned"
    shutil.copytree(run, origin)
    c = changed(c, run=str(origin))
    c.optimizer.frozen = ("stage.backbone",)
    train(c, tuned)
    assert not any("stage.backbone" in name for name in names(read_checkpoint(tuned, part="").parameters))
    expected = names(jax.device_get(to_dicts(load_model(tuned)[0])))
    # Both directories are somewhere else now: the origin is found beside the run.
    (tmp_path / "moved").mkdir()
    for path in (origin, tuned):
        path.rename(tmp_path / "moved" / path.name)
    tuned = tmp_path / "moved" / "tuned"
    for name, x in names(jax.device_get(to_dicts(load_model(tuned)[0]))).items():
        np.testing.assert_array_equal(x, expected[name], err_msg=name)
    # A run that goes on reads it there, too.
    c.train.steps = 3
    train(c, tuned)
    assert read_parameters(tuned).step == 3
    # What has changed since is no longer what the run was trained with.
    shutil.rmtree(tmp_path / "moved" / "origin")
    with pytest.raises(CheckpointError, match=r"comes from step 2 of .*origin, which is not there"):
        load_model(tuned)
    other = changed(c)
    other.train.start.run, other.optimizer.frozen, other.seed, other.train.steps = "", (), 1, 2
    train(other, tmp_path / "moved" / "origin")
    with pytest.raises(CheckpointError, match="which has other parameters now"):
        load_model(tuned)


@pytest.mark.slow
def test_what_is_fixed_can_be_bfloat16(trained):
    """Matrices are rounded, norms are not, and what is trained stays float32."""
    c, run = trained
    c = changed(c, run=run)
    c.optimizer.frozen, c.optimizer.frozen_dtype = ("stage.backbone",), "bfloat16"
    state = make_setup(c).init_state()
    axes = axes_by_name(state.model)
    assert axes["stage.backbone.layers.mixer_norm.scale"] == "L D"
    for name, x in names(to_dicts(state.model)).items():
        rounded = name.startswith("stage.backbone.") and not kind_of(axes[name]).is_vector
        assert x.dtype == ("bfloat16" if rounded else "float32"), name


def subword(c: ConfigDict, text: bytes, folder: Path, **start: str) -> ConfigDict:
    """A subword model of the same sizes on another text: its tokenizer has as many tokens, and others."""
    c = changed(c, **start)
    folder.mkdir()
    for i in range(24):
        (folder / f"{i}.txt").write_bytes(text)
    with c.unlocked():
        c.model, c.text.kind = small_config("bytes").model, "subword"
    c.text.vocabulary.size = 300
    c.data.source, c.data.cache = f"text:{folder}/*.txt", str(folder / "cache")
    return c


@pytest.mark.parametrize("part", slow_if(("", "interface").__contains__, ("", "interface", "interface.table")))
def test_a_table_of_another_vocabulary_is_refused(trained, tmp_path, part):
    """All shapes fit, and every id would mean something else; a part without rows of symbols is anyone's."""
    first = subword(trained[0], TEXT * 4, tmp_path / "a")
    other = b"Sphinx of black quartz, judge my vow; how vexingly quick daft zebras jump! " * 4
    train(first, tmp_path / "run")
    second = subword(trained[0], other, tmp_path / "b", run=str(tmp_path / "run"), part=part, at=part)
    with pytest.raises(VocabularyMismatchError, match=r"another vocabulary: id \d+ is b'.*' there and b'.*' here"):
        make_setup(second).init_state()
    second.train.start.update({"part": "backbone", "at": "backbone"})
    make_setup(second).init_state()


def test_a_vocabulary_is_known_by_its_tokens(trained, tmp_path):
    """The same tokens in a file of another format are the same; another alphabet of bytes is another vocabulary."""
    c, run = trained
    record = read_checkpoint(run).record
    check_same_vocabulary(record, (c, make_encoder(c.text)), ["interface.table"], "it")
    other = changed(c)
    other.text.alphabet = "in_bytes"
    with pytest.raises(VocabularyMismatchError, match="it takes an interface of another vocabulary"):
        check_same_vocabulary(record, (other, make_encoder(other.text)), ["interface.table"], "it")
    check_same_vocabulary(record, (other, make_encoder(other.text)), ["stage.backbone.norm.scale"], "it")


def test_a_run_that_has_broken_is_no_start(trained, monkeypatch):
    """One value that is not a number is all of the new model's after a step."""
    c, run = trained

    def broken(*arguments, **options):
        found = read_checkpoint(*arguments, **options)
        found.parameters["model"]["interface"]["head"][3, 2] = np.inf
        return found

    monkeypatch.setattr("lexitok.runs.parameters.read_checkpoint", broken)
    with pytest.raises(RunError, match="parameter 'interface.head' has 1 values that are not finite"):
        make_setup(changed(c, run=run)).init_state()
