"""Checkpoints: state, place in the data, config and vocabulary of a run, by Orbax, saved while training goes on.

The state is handed to Orbax as nested dicts by name, so a notebook reads it without the classes it was made of
(`read_checkpoint`). Orbax writes into a temporary folder and renames it: a run killed in mid-save leaves the earlier
checkpoints as they were.
"""

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from lexitok.made import is_made
from lexitok.parameter_names import from_dicts, names, nested, to_dicts
from lexitok.runs.checkpoints.files import (
    FOLDER,
    CheckpointWriteError,
    RunRecord,
    check_matches,
    saved_steps,
    step_folder,
    verify,
    write_list,
)
from lexitok.runs.checkpoints.reading import (
    check_arrays,
    damage,
    none_readable,
    read_record,
    shorten,
)
from lexitok.runs.parameters import from_origin
from lexitok.runs.stored_state import from_stored, to_restore, to_store

log = logging.getLogger(__name__)

# Where devices hold the same array, Orbax has each write a slice, and each slice of each shape is a program of its own:
# what would make smaller ones is written whole, or the first checkpoint takes longer than a small run.
SMALLEST_SLICE = 1 << 18  # bytes


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a run goes on from.

    Attributes:
      step: of the checkpoint.
      state: as it was saved, on the devices that were asked for.
      data: as it was saved by this process.
      record: of the run that saved it.
    """

    step: int
    state: Any
    data: Any
    record: RunRecord


class Checkpoints:
    """The checkpoints of a run that trains. A context manager: leaving it waits for what is being saved."""

    def __init__(self, workdir: str | os.PathLike, record: RunRecord, *, keep: int = 2):
        """`keep`: how many checkpoints are kept, the newest; all processes see the same `workdir`."""
        self.workdir = Path(workdir).absolute()
        self.record = record
        self._saving: int | None = None
        handlers: dict[str, Any] = {
            "state": ocp.PyTreeCheckpointHandler(type_handler_registry=_arrays()),
            "data": grain.checkpoint.CheckpointHandler(),
            "extra": ocp.JsonCheckpointHandler(),
        }
        self._manager = ocp.CheckpointManager(
            self.workdir / FOLDER,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                cleanup_tmp_directories=True,
                async_options=ocp.AsyncOptions(post_finalization_callback=self._list_files),
            ),
            item_handlers=handlers,
        )

    def save(self, step: int, state: Any, data: Any = None) -> None:
        """Begins to save; arrays are copied before this returns, so the state may be donated then.

        Args:
          step: of the run; one that is saved already is left as it is.
          state: a tree of arrays.
          data: the state of this process's data iterator, as JSON holds it (`iterator.get_state()` of Grain).

        Raises:
          CheckpointWriteError: this checkpoint, or the one before that was still being saved, could not be written.
        """
        self.wait()
        if step in self._manager.all_steps():
            return
        self._saving = step
        with jax.transfer_guard("allow"):  # Orbax fetches arrays implicitly
            self._attempt(
                lambda: self._manager.save(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.PyTreeSave(
                            to_store(to_dicts(jax.tree.map(_plain, state)), self.record.fixed or ())
                        ),
                        data=grain.checkpoint.CheckpointSave(_Json(data)),
                        extra=ocp.args.JsonSave(self.record.to_tree()),
                    ),
                    force=True,
                )
            )

    def wait(self) -> None:
        """Waits until what is being saved is on disk.

        Raises:
          CheckpointWriteError: it could not be written.
        """
        if self._saving is not None:
            self._attempt(self._manager.wait_until_finished)
            self._saving = None

    def restore(self, like: Any) -> Restored | None:
        """The newest checkpoint that can be read; None if there is none at all.

        Damaged ones are named in a warning and moved to `checkpoints.damaged`.

        Args:
          like: the state as `jax.ShapeDtypeStruct`s with shardings (or as arrays). What a model has that is made, and
            that no checkpoint holds (`lexitok.made`), stays in it as it is here.

        Raises:
          CheckpointMismatchError: the checkpoint is of another model, vocabulary, text setting or optimizer.
          CheckpointError: there are checkpoints, and none can be read; names them all.
        """
        damaged: dict[int, str] = {}
        for step in reversed(saved_steps(self.workdir)):
            restored, problem = self._try_restore(step, like)
            if restored is not None:
                self._set_aside(damaged, step)
                return restored
            damaged[step] = problem
        if damaged:
            raise none_readable(self.workdir, damaged)
        return None

    def close(self) -> None:
        """Waits as `wait` does, and lets go of Orbax's threads."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            self.close()
        except CheckpointWriteError as error:
            if kind is None:
                raise
            log.error("%s", error)  # what ended the run is raised, and this is not lost

    def _try_restore(self, step: int, like: Any) -> tuple[Restored | None, str]:
        """The checkpoint, or why it cannot be read. All processes come to the same end."""
        restored, problem = None, ""
        try:
            restored = self._restore(step, like)
        except Exception as error:
            problem = damage(error)
        if jax.process_count() > 1:
            fine = np.asarray(multihost_utils.process_allgather(np.asarray(restored is not None)))
            if not fine.all():
                restored, problem = None, problem or f"process {int(np.argmin(fine))} could not read it"
        return restored, problem

    def _restore(self, step: int, like: Any) -> Restored:
        folder = step_folder(self.workdir, step)
        verify(folder, sums=jax.process_index() == 0)
        record = read_record(folder)
        check_matches(record, self.record, f"checkpoint {folder}")
        shapes, data = to_dicts(jax.tree.map(_plain, like)), _Json(None)
        wanted = to_restore(shapes, record.fixed)
        check_arrays(folder, wanted)
        with jax.transfer_guard("allow"):
            items = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeRestore(wanted, ocp.checkpoint_utils.construct_restore_args(wanted)),
                    data=grain.checkpoint.CheckpointRestore(data),
                ),
            )
            leaves = {name: leaf for name, leaf in names(shapes).items() if is_made(name)}
            leaves |= from_stored(items["state"], shapes, record.fixed) | self._from_elsewhere(names(shapes), record)
            state = jax.tree.map(_typed, from_dicts(nested(leaves), like), like)
        self.record = dataclasses.replace(self.record, fixed=record.fixed or ())
        return Restored(step, state, data.value, record)

    def _from_elsewhere(self, shapes: dict[str, Any], record: RunRecord) -> dict[str, Any]:
        """The leaves of a state that are kept by their origin, as the state wants them."""
        out = {}
        for origin in record.fixed or ():
            for name, values in from_origin(origin, self.workdir).items():
                like = shapes[at := f"fixed.{origin.of}.{name}"]
                out[at] = jax.device_put(np.asarray(values, like.dtype), like.sharding)
        return out

    def _set_aside(self, damaged: dict[int, str], used: int) -> None:
        for step, problem in damaged.items():
            log.warning("checkpoint of step %d is damaged (%s); step %d is used instead", step, problem, used)
            if jax.process_index() == 0:
                aside = self.workdir / f"{FOLDER}.damaged" / str(step)
                shutil.rmtree(aside, ignore_errors=True)
                aside.parent.mkdir(exist_ok=True)
                step_folder(self.workdir, step).rename(aside)
        if damaged:
            if jax.process_count() > 1:
                multihost_utils.sync_global_devices("damaged checkpoints are set aside")
            self._manager.reload()

    def _list_files(self) -> None:
        """Called by Orbax when all is written, before the folder gets its final name."""
        if jax.process_index() != 0:
            return
        found = [*(self.workdir / FOLDER).glob(f"{self._saving}.orbax-checkpoint-tmp*")]
        write_list(found[0] if found else step_folder(self.workdir, self._saving or 0))

    def _attempt(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except Exception as error:
            step, self._saving = self._saving, None
            raise CheckpointWriteError(self._write_message(step, error)) from error

    def _write_message(self, step: int | None, error: Exception) -> str:
        folder = self.workdir / FOLDER
        good = saved_steps(self.workdir)
        last = f"The last good checkpoint is step {good[-1]}, it is intact" if good else "There is no earlier one"
        try:
            free = f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB are free there"
        except OSError:
            free = "the folder cannot be reached"
        return f"the checkpoint of step {step} could not be saved in {folder}: {shorten(error)} ({free}). {last}."


class _Json:
    """Stands in for a data iterator where Grain saves and restores the state of one."""

    def __init__(self, value: Any):
        self.value = value

    def get_state(self) -> bytes:
        return json.dumps(self.value).encode()

    def set_state(self, state: bytes) -> None:
        self.value = json.loads(state)

    def start_prefetch(self) -> None:
        """There is nothing to fetch."""


def _arrays() -> Any:
    """How Orbax writes and reads arrays: in slices of at least `SMALLEST_SLICE` bytes where devices hold the same."""
    handler = ocp.type_handlers.ArrayHandler(min_slice_bytes_for_replica_parallel=SMALLEST_SLICE)
    return ocp.type_handlers.create_type_handler_registry((jax.Array, handler))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> Any:
    """Random keys as the integers that they are made of, also where only the shape of the key is known."""
    if not _is_key(leaf):
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        data = jax.eval_shape(jax.random.key_data, leaf)
        return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=leaf.sharding)
    return jax.random.key_data(leaf)


def _typed(leaf: Any, like: Any) -> Any:
    """The random keys again, of JAX's default kind, where `like` has them."""
    return jax.random.wrap_key_data(leaf) if _is_key(like) else leaf
