"""Batches for training: sources → encoder → pieces → packed rows → batches, on Grain, with exact resume."""

import atexit
import dataclasses
import weakref
from typing import Any

import grain
import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Budget, Tokenisation
from lexitok.data.encoders import Encoder
from lexitok.data.packing import Cutter, Packing, PackIterDataset
from lexitok.data.report import PipelineReport
from lexitok.data.sources import Corpus, mixed, open_source

_READ_AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=16)  # documents
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
        differ = [key for key in dict.fromkeys([*ours, "second"]) if theirs.get(key) != ours.get(key)]
        if differ:
            pairs = ", ".join(f"{key} was {theirs.get(key)!r} and is {ours.get(key)!r}" for key in differ)
            raise ValueError(f"the saved data iterator does not fit this pipeline: {pairs}")
        self._parent.set_state(state["pipeline"])
        self.report = PipelineReport(**state["report"])


def train_iterator(
    config: ConfigDict,
    encoder: Encoder,
    second: Tokenisation | None = None,
    *,
    share: tuple[int, int] = (0, 1),
) -> TrainIterator:
    """This process's share of the batches that `config.data` and `config.seed` describe, without end.

    Args:
      config: the whole configuration.
      encoder: documents to symbols (`make_encoder`).
      second: as of `batch_iterator`.
      share: its number and how many there are: documents are divided among them, and so are the rows of a batch.

    Raises:
      SourceError: the source cannot be opened.
      ValueError: rows or documents cannot be divided among the shares.
    """
    data: Any = config.data
    seed: Any = config.seed
    count = share[1]
    if data.rows % count:
        raise ValueError(f"data.rows is {data.rows}, which cannot be divided among {count} processes")
    corpus = open_source(data.source, data.train_split, cache=data.cache, field=data.field)
    return batch_iterator(
        corpus,
        encoder,
        second,
        rows=data.rows // count,
        symbols=data.symbols,
        units=data.units,
        packing_bins=data.packing_bins,
        seed=seed,
        workers=data.workers,
        shard=share,
    )


def batch_iterator(
    corpus: Corpus,
    encoder: Encoder,
    second: Tokenisation | None = None,
    *,
    rows: int,
    symbols: int,
    units: int,
    packing_bins: int = 64,
    seed: int = 0,
    workers: int = 0,
    shard: tuple[int, int] = (0, 1),
    epochs: int | None = None,
) -> TrainIterator:
    """Batches of `rows` rows of `symbols` symbols and `units` units (the latter not for boundary `none`).

    Args:
      second: a tokenisation of the same bytes, which each batch then holds beside the first, and the alignment of both.
      shard: this process and the number of processes.
      epochs: how often to go through the documents; None: without end. After the last one, rows that are missing from
        a batch are padding.
      workers: processes that prepare batches; 0: a thread of this one. The order of documents depends on it.
    """
    first, other = Budget.of(encoder, symbols, units), None if second is None else second.budget
    documents = _documents(corpus, seed, shard, epochs).to_iter_dataset(_READ_AHEAD)
    packing = Packing(rows, first, other, packing_bins, seed)
    batches = PackIterDataset(documents, Cutter(packing, encoder, None if second is None else second.encoder), packing)
    if workers:
        if not flags.FLAGS.is_parsed():  # Grain's workers read its flags, which a notebook has not parsed
            flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    batches = grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=_PREFETCHED)
    settings = {
        "source": [f"{source.name} {source.split} {len(source)}" for source in corpus.sources],
        "weights": list(corpus.weights),
        "vocabulary": encoder.vocabulary.fingerprint,
        "boundary": encoder.boundary,
        "rows": rows,
        "symbols": symbols,
        "units": first.W,
        "packing_bins": packing_bins,
        "seed": seed,
        "workers": workers,
        "shard": list(shard),
        "epochs": epochs,
    }
    if second is not None and other is not None:
        settings["second"] = {
            "vocabulary": second.encoder.vocabulary.fingerprint,
            "boundary": second.encoder.boundary,
            "symbols": other.S,
            "units": other.W,
        }
    return TrainIterator(iter(batches), settings)


def _documents(corpus: Corpus, seed: int, shard: tuple[int, int], epochs: int | None) -> grain.MapDataset:
    index, count = shard
    parts = []
    for source in corpus.sources:
        if len(source) < count:
            raise ValueError(f"{source.name} has {len(source)} documents, fewer than the {count} processes")
        part = grain.MapDataset.source(source)[index::count]  # before the shuffle: processes share no document
        parts.append(part.seed(seed).shuffle().repeat(epochs))
    return mixed(parts, corpus.weights)
