"""What every pipeline of training ends in: batches, prepared ahead, with a report and a state."""

import atexit
import dataclasses
import weakref
from typing import Any

import grain
import jax
import numpy as np
from absl import flags

from lexitok.data.batch import Batch
from lexitok.data.report import PipelineReport

READ_AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=16)  # documents
_PREFETCHED = 4  # batches

_open_iterators: weakref.WeakSet["TrainIterator"] = weakref.WeakSet()


@atexit.register
def _close_open_iterators() -> None:
    """Grain's iterators close themselves when they are deleted, which fails once the interpreter is half gone."""
    for iterator in list(_open_iterators):
        iterator.close()
        iterator._parents = ()


class TrainIterator(grain.DatasetIterator[Batch]):
    """Batches of numpy arrays without end; `report` says what has been delivered. Its state is JSON."""

    def __init__(self, parent: grain.DatasetIterator, settings: dict[str, Any]):
        super().__init__(parent)
        self._settings = settings
        self.report = PipelineReport()
        _open_iterators.add(self)

    def __next__(self) -> Batch:
        batch, account = next(self._parent)
        self.report.add(account)
        # Grain's workers hand over shared memory, which is freed when the arrays that lie in it are.
        return jax.tree.map(np.array, batch) if self._settings["workers"] else batch

    def get_state(self) -> dict[str, Any]:
        """Where the iterator stands: a position in the stream of documents, and the report so far."""
        report = dataclasses.asdict(self.report)
        return {"pipeline": self._parent.get_state(), "report": report, "settings": dict(self._settings)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes where `get_state` said.

        Raises:
          ValueError: the state is of a pipeline with other settings, which would give other batches; names them.
        """
        theirs = state["settings"]
        ours = self._settings
        differ = [key for key in dict.fromkeys([*ours, *theirs]) if theirs.get(key) != ours.get(key)]
        if differ:
            pairs = ", ".join(f"{key} was {theirs.get(key)!r} and is {ours.get(key)!r}" for key in differ)
            raise ValueError(f"the saved data iterator does not fit this pipeline: {pairs}")
        self._parent.set_state(state["pipeline"])
        self.report = PipelineReport.of_saved(state["report"])


def delivered(batches: grain.IterDataset, workers: int, settings: dict[str, Any]) -> TrainIterator:
    """The batches of a pipeline, prepared ahead of their use.

    Args:
      batches: `lexitok.data.packing.Packed`.
      workers: processes that prepare them; 0: a thread of this one.
      settings: what the batches follow from, as JSON holds it.
    """
    if workers:
        if not flags.FLAGS.is_parsed():  # Grain's workers read its flags, which a notebook has not parsed
            flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    batches = grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=_PREFETCHED)
    return TrainIterator(iter(batches), {**settings, "workers": workers})
