"""Checkpoints: what is saved comes back, on any devices, and what is damaged is found out."""

import logging
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from lexitok.config.files import diff
from lexitok.config.older import completed
from lexitok.runs.checkpoints.files import (
    CheckpointError,
    CheckpointMismatchError,
    CheckpointWriteError,
    RunRecord,
    saved_steps,
    step_folder,
)
from lexitok.runs.checkpoints.manager import SMALLEST_SLICE, Checkpoints
from lexitok.runs.checkpoints.reading import read_checkpoint

CONFIG = completed(
    ConfigDict(
        {
            "model": {"kind": "token_lm", "D": 8, "layer_kinds": ("local", "global"), "remat": "none"},
            "text": {"vocabulary": {"size": 16, "path": ""}},
            "seed": 0,
        }
    )
)
RECORD = RunRecord(CONFIG, b"\x00vocabulary\xff", {"bytes": 12})


class Tiny(nnx.Module):
    def __init__(self):
        self.table = nnx.Param(jnp.arange(64, dtype=jnp.float32).reshape(16, 4))
        self.layers = nnx.List([nnx.Param(jnp.full(3, i, jnp.float32)) for i in range(2)])


def make_state(factor: float = 1.0):
    params = jax.tree.map(lambda x: factor * x, Tiny())
    return {
        "model": params,
        "optimizer": optax.adam(1e-3).init(params),
        "key": jax.random.key(7),
        "step": jnp.int32(factor),
    }


def abstract(state):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)


def save_steps(workdir, steps, keep=3):
    with Checkpoints(workdir, RECORD, keep=keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, make_state(step), {"position": step})


def assert_same(a, b):
    def numbers(x):
        return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)

    jax.tree.map(lambda x, y: np.testing.assert_array_equal(numbers(x), numbers(y)), a, b)


def files_of(step_dir: Path) -> list[Path]:
    return sorted(p for p in step_dir.rglob("*") if p.is_file())


def test_state_data_and_record_come_back(tmp_path):
    """A run goes on only if everything that makes it is in the checkpoint: modules, moments, keys, data, vocabulary."""
    save_steps(tmp_path, [1, 2])
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        restored = checkpoints.restore(abstract(make_state()))
    assert restored is not None and (restored.step, restored.data) == (2, {"position": 2})
    assert isinstance(restored.state["model"], Tiny)
    assert_same(restored.state, make_state(2))
    assert restored.record.vocabulary == RECORD.vocabulary and restored.record.metadata == {"bytes": 12}
    assert restored.record.config.model.layer_kinds == ("local", "global")  # a tuple still


def test_no_checkpoint_is_no_error(tmp_path):
    """The first start of a run finds nothing, and that is as it should be."""
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        assert checkpoints.restore(abstract(make_state())) is None


def test_newest_are_kept(tmp_path):
    """Disks are finite: only the newest `keep` stay; a step that is saved already is not saved again."""
    save_steps(tmp_path, [1, 2, 3], keep=2)
    assert saved_steps(tmp_path) == [2, 3]
    save_steps(tmp_path, [3], keep=2)
    assert saved_steps(tmp_path) == [2, 3]


def test_restore_onto_another_mesh(tmp_path):
    """A run may go on with other devices than it began with."""
    save_steps(tmp_path, [1])
    mesh = jax.make_mesh((8,), ("fsdp",), axis_types=(AxisType.Auto,))
    like = abstract(make_state())
    split = NamedSharding(mesh, PartitionSpec("fsdp"))
    like["model"].table = nnx.Param(jax.ShapeDtypeStruct((16, 4), jnp.float32, sharding=split))
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        restored = checkpoints.restore(like)
    assert restored is not None
    table = restored.state["model"].table[...]
    assert table.sharding == split
    np.testing.assert_array_equal(table, make_state()["model"].table[...])


def test_what_every_device_holds_is_saved_without_a_program_for_each(tmp_path, monkeypatch):
    """Small arrays, of which each device would else compile its slice: minutes for a model; large ones are split."""
    everywhere = NamedSharding(jax.make_mesh((8,), ("data",)), PartitionSpec())
    small = {f"rows_{n}": jnp.ones((8, n)) for n in range(1, 9)}
    state = jax.device_put(small | {"table": jnp.arange(8.0 * SMALLEST_SLICE / 4).reshape(8, -1)}, everywhere)
    sliced, slice_in_dim = [], jax.lax.slice_in_dim
    monkeypatch.setattr(
        jax.lax, "slice_in_dim", lambda x, *at, **k: sliced.append(x.shape) or slice_in_dim(x, *at, **k)
    )
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        checkpoints.save(1, state)
        checkpoints.wait()
        assert set(sliced) == {state["table"].shape}
        restored = checkpoints.restore(abstract(state))
    assert restored is not None
    assert_same(restored.state, state)


def test_grain_iterator_goes_on_where_it_was(tmp_path):
    """The data of a resumed run is the data that the uninterrupted one would have seen."""
    make = lambda: iter(grain.MapDataset.range(100).seed(3).shuffle().to_iter_dataset().batch(4))  # noqa: E731
    iterator = make()
    next(iterator)
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        checkpoints.save(1, make_state(), iterator.get_state())
        expected = next(iterator)  # reading on while it is being saved must not matter
    resumed = make()
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        restored = checkpoints.restore(abstract(make_state()))
    assert restored is not None
    resumed.set_state(restored.data)
    np.testing.assert_array_equal(next(resumed), expected)


def test_read_without_classes_or_devices(tmp_path):
    """A notebook opens a run with nothing but its folder, and reads the parameters only."""
    save_steps(tmp_path, [1, 2])
    found = read_checkpoint(tmp_path)
    assert found.step == 2 and not diff(found.config, CONFIG)
    assert set(found.parameters) == {"table", "layers"}
    assert type(found.parameters["table"]) is np.ndarray
    np.testing.assert_array_equal(found.parameters["layers"]["1"], [2, 2, 2])
    assert read_checkpoint(tmp_path, 1, part="step").parameters == 1
    with pytest.raises(CheckpointError, match=r"no 'average' among .*model"):
        read_checkpoint(tmp_path, part="average")
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 5 .* \[1, 2\]"):
        read_checkpoint(tmp_path, 5)
    with pytest.raises(CheckpointError, match="no checkpoints in"):
        read_checkpoint(tmp_path / "elsewhere")


@pytest.mark.parametrize("damage", ["cut", "missing", "flipped"])
def test_a_damaged_file_is_found_out(tmp_path, caplog, damage):
    """Whichever file of the newest is damaged, the one before is used and said so: no silent wrong numbers."""
    origin = tmp_path / "origin"
    save_steps(origin, [1, 2])
    listed = {"commit_success.txt", "_CHECKPOINT_METADATA"}
    damaged_names = [p.relative_to(origin) for p in files_of(step_folder(origin, 2)) if p.name not in listed]
    assert len(damaged_names) > 5
    for number, name in enumerate(damaged_names):
        path = origin / name
        whole = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            middle = len(whole) // 2
            flipped = whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1 :]
            path.write_bytes(whole[:middle] if damage == "cut" else flipped)
        caplog.clear()
        assert read_checkpoint(origin).step == 1, f"{name} {damage} went unnoticed"
        assert "step 2 is damaged" in caplog.text
        if number == 0:
            _restore_falls_back(shutil.copytree(origin, tmp_path / "copy"), caplog)
        path.write_bytes(whole)
    assert read_checkpoint(origin).step == 2


def _restore_falls_back(workdir, caplog):
    with Checkpoints(workdir, RECORD) as checkpoints:
        restored = checkpoints.restore(abstract(make_state()))
        assert restored is not None and restored.step == 1
        assert_same(restored.state, make_state(1))
        assert "step 2 is damaged" in caplog.text and "step 1 is used" in caplog.text
        checkpoints.save(2, make_state(2), {"position": 2})  # the run gets there again
    assert saved_steps(workdir) == [1, 2] and read_checkpoint(workdir).step == 2
    assert (workdir / "checkpoints.damaged" / "2").is_dir()  # nothing is lost


def test_none_readable_names_them_all(tmp_path):
    """Starting anew over a run's damaged checkpoints would lose it: it has to be asked for."""
    save_steps(tmp_path, [1, 2])
    for step in (1, 2):
        (step_folder(tmp_path, step) / "extra" / "metadata").unlink()
    with Checkpoints(tmp_path, RECORD) as checkpoints, pytest.raises(CheckpointError, match=r"step 2: .*step 1: "):
        checkpoints.restore(abstract(make_state()))
    assert saved_steps(tmp_path) == [1, 2]
    with pytest.raises(CheckpointError, match=r"step 2: .*step 1: "):
        read_checkpoint(tmp_path)


def test_another_model_or_vocabulary_is_refused(tmp_path):
    """Arrays of one vocabulary read by the ids of another are noise; the message names what differs."""
    save_steps(tmp_path, [1])
    like = abstract(make_state())

    def error(record):
        with Checkpoints(tmp_path, record) as checkpoints, pytest.raises(CheckpointMismatchError) as caught:
            checkpoints.restore(like)
        return str(caught.value)

    assert "vocabulary fingerprint" in error(RunRecord(CONFIG, b"another"))
    wider = CONFIG.copy_and_resolve_references()
    wider.model.D = 16
    assert "model.D: recorded 8, this run 16" in error(RunRecord(wider, RECORD.vocabulary))
    other_seed = CONFIG.copy_and_resolve_references()
    other_seed.seed = 1
    assert "seed: recorded 0, this run 1" in error(RunRecord(other_seed, RECORD.vocabulary))
    free = CONFIG.copy_and_resolve_references()
    free.model.remat, free.train.steps = "full", 1  # neither changes what the arrays mean
    with Checkpoints(tmp_path, RunRecord(free, RECORD.vocabulary)) as checkpoints:
        assert checkpoints.restore(like) is not None


def test_other_arrays_are_refused_by_name(tmp_path):
    """Another optimizer has other moments: said by name, rather than by a tree of tens of lines."""
    save_steps(tmp_path, [1])
    like = abstract(make_state())
    like["optimizer"] = abstract(optax.sgd(0.1, momentum=0.9).init(make_state()["model"]))
    with (
        Checkpoints(tmp_path, RECORD) as checkpoints,
        pytest.raises(CheckpointMismatchError, match=r"optimizer\.0\.count: checkpoint \(\), run has none"),
    ):
        checkpoints.restore(like)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's own, of the write that fails
def test_a_write_that_fails_is_named_and_the_last_good_step_stays(tmp_path):
    """A full disk, here a limit on the size of files, must cost a checkpoint, not the run's earlier ones."""
    save_steps(tmp_path, [1])
    big = make_state() | {"big": jnp.asarray(np.random.default_rng(0).normal(size=100_000))}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    checkpoints = Checkpoints(tmp_path, RECORD)
    with pytest.raises(CheckpointWriteError) as caught:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
            checkpoints.save(2, big)
            checkpoints.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(caught.value)
    assert "step 2 could not be saved" in message and str(tmp_path) in message and "File too large" in message
    assert "last good checkpoint is step 1" in message
    checkpoints.close()
    assert read_checkpoint(tmp_path).step == 1
    save_steps(tmp_path, [3])
    assert not list((tmp_path / "checkpoints").glob("*tmp*"))  # what was left half written is cleared away


KILLED = """
    import logging, os, signal, sys, threading, time
    from pathlib import Path
    import jax.numpy as jnp, numpy as np
    from ml_collections import ConfigDict
    from lexitok.config.older import completed
    from lexitok.runs.checkpoints.files import RunRecord
    from lexitok.runs.checkpoints.manager import SMALLEST_SLICE, Checkpoints

    folder = Path(sys.argv[1])
    checkpoints = Checkpoints(folder, RunRecord(completed(ConfigDict({"seed": 0}))))
    checkpoints.save(1, {"model": {"w": jnp.ones(4)}})
    checkpoints.wait()

    def kill():
        while not list((folder / "checkpoints").glob("2.*tmp*/**/d/*")):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    checkpoints.save(2, {"model": {"w": jnp.asarray(np.random.default_rng(0).normal(size=8_000_000))}})
    checkpoints.wait()
    time.sleep(5)
"""


@pytest.mark.slow
def test_killed_while_saving(tmp_path):
    """SIGKILL when step 2 is half written: step 1 is what there is, and the next run saves as if nothing had been."""
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    run = tmp_path / "run"
    done = subprocess.run([sys.executable, script, run], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert saved_steps(run) == [1]
    np.testing.assert_array_equal(read_checkpoint(run).parameters["w"], np.ones(4))
    record = RunRecord(completed(ConfigDict({"seed": 0})))
    with Checkpoints(run, record) as checkpoints:
        restored = checkpoints.restore({"model": {"w": jnp.zeros(4)}})
        assert restored is not None and restored.step == 1
        checkpoints.save(2, restored.state)
    assert saved_steps(run) == [1, 2]


def test_saving_does_not_hold_on_to_the_state(tmp_path):
    """A step donates its state: the copy that is saved must be the one of the moment of saving."""
    step = jax.jit(lambda x: x + 1.0, donate_argnums=0)
    x = jnp.zeros((200, 200), jnp.float32)
    with Checkpoints(tmp_path, RECORD) as checkpoints:
        checkpoints.save(1, {"model": {"x": x}})
        for _ in range(20):
            x = step(x)
    np.testing.assert_array_equal(read_checkpoint(tmp_path).parameters["x"], np.zeros((200, 200)))


def test_orbax_is_quiet(tmp_path, caplog):
    """What Orbax logs as it works is not a user's business; what fails is raised."""
    with caplog.at_level(logging.WARNING):
        save_steps(tmp_path, [1])
        read_checkpoint(tmp_path)
    assert not caplog.records
