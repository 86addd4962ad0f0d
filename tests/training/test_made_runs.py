"""Runs whose models have arrays that are made and not learnt: pictures of tokens, the trie of a vocabulary."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from samples import TEXT, small_config

from lexitok import config as C
from lexitok.analysis import load_model
from lexitok.evals import evaluate
from lexitok.made import is_made
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.checkpoints.reading import read_checkpoint
from lexitok.runs.parameters import read_parameters
from lexitok.sharding import make_mesh
from lexitok.training.loop import train
from lexitok.training.setup import make_setup

KINDS = ("glyphs", pytest.param("bolmo", marks=pytest.mark.slow))


@pytest.fixture(scope="module")
def configs(tmp_path_factory) -> dict[str, ConfigDict]:
    """Of small models: tokens as pictures, and bytes to which the longest token that ends with them is added."""
    root = tmp_path_factory.mktemp("made")
    (root / "texts").mkdir()
    for i in range(24):
        (root / "texts" / f"{i}.txt").write_bytes(TEXT * 4)
    glyphs, bolmo = small_config("bytes"), small_config("bolmo")
    glyphs.text.kind, glyphs.model.interface = "subword", C.glyphs(distinct="told_apart")
    for name, c in (("glyphs", glyphs), ("bolmo", bolmo)):
        c.name, c.text.vocabulary.size = name, 300
        c.data.source, c.data.cache = f"text:{root}/texts/*.txt", str(root / "cache")
        c.data.rows, c.data.symbols, c.data.units, c.data.packing_bins = 8, 64, 48, 8
        c.train.update(steps=4, checkpoint_every=2, eval_every=4, log_every=1, keep=3, ema=0.9)
        c.optimizer.warmup, c.eval.bytes = 1, 500
    return {"glyphs": glyphs, "bolmo": bolmo}


class Trained(dict):
    """Runs that are trained when they are asked for."""

    def __init__(self, make):
        super().__init__()
        self._make = make

    def __missing__(self, kind):
        self[kind] = self._make(kind)
        return self[kind]


@pytest.fixture(scope="module")
def runs(configs, tmp_path_factory) -> dict[str, tuple[Path, dict]]:
    """Their runs of four steps, and their results."""
    root = tmp_path_factory.mktemp("runs")
    return Trained(lambda kind: (root / kind, train(configs[kind], root / kind)))


def made_in(model) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in names(to_dicts(model)).items() if is_made(name)}


@pytest.mark.parametrize("kind", KINDS)
def test_no_checkpoint_holds_it(runs, kind):
    """It follows from config and vocabulary, which a checkpoint has; and runs from before it had a name have none."""
    path, _ = runs[kind]
    stored = names(read_checkpoint(path, part="").parameters)
    assert stored and not any("made_" in name for name in stored)
    assert {x.dtype.kind for name, x in stored.items() if name.startswith("model.")} == {"f"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_goes_on_makes_it_again(configs, runs, kind, tmp_path):
    """Its numbers are those of the run that was never stopped, bit for bit."""
    path, result = runs[kind]
    shutil.copytree(path, tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "4")
    again = train(configs[kind], tmp_path / "again")
    assert again["bpb"] == result["bpb"]
    stored, found = (names(read_checkpoint(p, part="").parameters) for p in (path, tmp_path / "again"))
    assert stored.keys() == found.keys()
    for name, x in stored.items():
        np.testing.assert_array_equal(found[name], x, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_has_it(configs, runs, kind):
    """What a run is known by is what its model scores when it is loaded, on one device and split over eight."""
    path, result = runs[kind]
    c = configs[kind]
    documents = [(TEXT * 4)] * 2
    window = {"rows": 2, "symbols": c.data.symbols, "units": c.data.units, "overlap": c.eval.overlap}
    model, encoder = load_model(path)
    alone = evaluate(model, encoder, documents, **window).bpb
    assert alone == pytest.approx(result["bpb"], rel=1e-5)
    with jax.set_mesh(make_mesh(data=2, fsdp=1, tensor=4)):
        split, _ = load_model(path)
        assert evaluate(split, encoder, documents, **window).bpb == pytest.approx(alone, rel=1e-5)
    assert made_in(model)
    for name, x in made_in(model).items():
        np.testing.assert_array_equal(made_in(split)[name], x, err_msg=name)


@pytest.mark.slow
def test_the_mesh_does_not_matter(configs, runs, tmp_path):
    """Every device looks pictures up by itself: losses are those of another split."""
    _, result = runs["glyphs"]
    c = configs["glyphs"].copy_and_resolve_references()
    c.mesh.update(data=2, fsdp=2, tensor=2)
    assert train(c, tmp_path / "split")["bpb"] == pytest.approx(result["bpb"], rel=1e-4)


@pytest.mark.slow
def test_another_run_begins_with_what_was_learnt(configs, runs):
    """It makes its own: nothing is asked of the other run but parameters, of the whole model or of a part."""
    path, _ = runs["glyphs"]
    c = configs["glyphs"].copy_and_resolve_references()
    fresh = names(to_dicts(make_setup(c, path).init_state().model))
    for part in ("", "interface"):
        c.train.start.update(run=str(path), part=part, at=part)
        state, saved = make_setup(c, path).init_state(), read_parameters(path).parameters
        for name, x in names(to_dicts(state.model)).items():
            taken = not is_made(name) and name.startswith(part)
            np.testing.assert_array_equal(x, saved[name] if taken else fresh[name], err_msg=name)


@pytest.mark.slow
def test_a_frozen_part_keeps_it_as_it_is(configs, runs, tmp_path):
    """Where fixed matrices are bfloat16, axes that pictures are projected on are not; origins are of parameters."""
    path, _ = runs["glyphs"]
    c = configs["glyphs"].copy_and_resolve_references()
    c.train.start.run, c.model.compute_dtype = str(path), "bfloat16"
    c.optimizer.frozen, c.optimizer.frozen_dtype = ("interface",), "bfloat16"
    state = make_setup(c, path).init_state()
    assert state.model.interface.head.dtype == "bfloat16"
    expected = made_in(load_model(path)[0])
    for name, x in made_in(state.model).items():
        assert x.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(x, expected[name], err_msg=name)
    train(c, tmp_path / "frozen")
    stored = names(read_checkpoint(tmp_path / "frozen", part="").parameters)
    assert not any(name.startswith("fixed.") for name in stored)  # its head is that of the other run
    found = load_model(tmp_path / "frozen")[0].interface.head[...]
    np.testing.assert_array_equal(found, load_model(path)[0].interface.head[...])
    c.train.steps = 5  # it goes on with what is in no checkpoint: its own arrays, and the other run's
    assert train(c, tmp_path / "frozen")["steps"] == 5
