"""A teacher's predictions of all documents of a corpus, made once and kept (`lexitok.data.predictions`).

They are written a file at a time, whole or not at all, so that what was stopped goes on where it was, and several
processes make files side by side.
"""

import functools
import itertools
import json
import operator
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.placement import put_batch
from lexitok.data.predictions import SETTINGS, Predictions, PredictionsError, file_name, open_predictions, source_folder
from lexitok.data.sources import Corpus, Source
from lexitok.data.windows import ScoredRange, eval_batches
from lexitok.distill.beginnings import beginnings
from lexitok.ops.read_out import Query
from lexitok.runs.writing import write_whole
from lexitok.sharding import replicated

DOCUMENTS = 256  # of a file
_LEAST = 1e-30  # what is called a mass of nothing


class Reading(NamedTuple):
    """How documents are read.

    Attributes:
      rows, symbols, units: budgets of batches.
      overlap: fraction of a window of a long document that is context for the rest.
      top_k: logits that are kept of each target.
      chunk: positions of a row whose logits are computed at once.
    """

    rows: int
    symbols: int
    units: int
    overlap: float
    top_k: int
    chunk: int


def predicted(
    model: Any, encoder: Encoder, documents: Sequence[bytes], reading: Reading
) -> Iterator[tuple[int, Predictions]]:
    """Every document's number, and what a model predicts of it, on the mesh that is set.

    Raises:
      PredictionsError: the vocabulary has fewer symbols than are to be kept, the model finds more units than a row has
        room for, or what it says is not finite.
      MeshError: the rows cannot be split over the mesh.
    """
    if not 1 <= reading.top_k <= encoder.vocabulary.size:
        raise PredictionsError(f"top_k is {reading.top_k}, of a vocabulary of {encoder.vocabulary.size}")
    budgets = {"rows": reading.rows, "symbols": reading.symbols, "units": reading.units, "overlap": reading.overlap}
    ask = _asker(reading.top_k, reading.chunk, replicated())
    groups = jnp.asarray(beginnings(encoder.vocabulary))

    def parts() -> Iterator[tuple[int, Predictions]]:
        for batch, ranges in eval_batches(documents, encoder, **budgets, chats=True):
            found, sums = jax.device_get(ask(model, put_batch(batch), groups))
            if any(value for name, value in sums.items() if name.endswith("units_dropped")):
                raise PredictionsError(f"the model finds more units than {reading.units} in a row: give it more room")
            yield from ((scored.document, _cut(found, scored)) for scored in ranges)

    for number, of_document in itertools.groupby(parts(), key=operator.itemgetter(0)):
        whole = jax.tree.map(lambda *x: np.concatenate(x), *(part for _, part in of_document))
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(whole)):
            raise PredictionsError(f"document {number}: the model gives no probabilities; its parameters are broken")
        yield number, whole


@functools.cache
def _asker(top_k: int, chunk: int, out: Any) -> Any:
    """The jitted function from a model, a batch and groups of symbols to `Predictions` and sums; one a mesh."""

    def ask(model: Any, batch: Batch, group_of_V: jax.Array) -> tuple[Predictions, Any]:
        query = Query(group_of_V=group_of_V, groups=2, top_k=top_k, chunk=chunk)
        found, extras = model.read_out(batch, query)
        top = found.top_BxSxk - found.top_BxSxk[..., :1]
        rest = jnp.exp(found.log_z_BxS - found.top_BxSxk[..., 0]) - jnp.sum(jnp.exp(top), axis=-1)
        log_rest = jnp.log(jnp.maximum(rest, _LEAST))
        log_mass = jnp.maximum(found.log_mass_BxSxG, jnp.log(_LEAST))  # finite, where a group has no symbols
        return Predictions(found.nll_BxS, log_mass, top.astype(jnp.float16), found.top_ids_BxSxk, log_rest), extras.sums

    return jax.jit(ask, out_shardings=out)


def _cut(found: Predictions, scored: ScoredRange) -> Predictions:
    return jax.tree.map(lambda x: x[scored.row, scored.column : scored.column + scored.length], found)


def keep_predictions(
    folder: Path,
    model: Any,
    encoder: Encoder,
    corpus: Corpus,
    reading: Reading,
    teacher: dict[str, Any],
    *,
    share: tuple[int, int] = (0, 1),
    documents: int = DOCUMENTS,
) -> Iterator[tuple[int, int]]:
    """Writes a folder of predictions, or what is missing of it; yields documents and symbols of each file that it made.

    Args:
      folder: where to.
      model, encoder: of the teacher.
      corpus: the documents.
      reading: how they are read.
      teacher: what `KeptPredictions.settings` says of the teacher: `teacher`, and `record` of its run.
      share: of the files, its number and how many there are: other processes make the others.
      documents: of a file.

    Raises:
      PredictionsError: the folder is of another teacher, another corpus or another way to read it.
    """
    settings = teacher | {
        "vocabulary": encoder.vocabulary.fingerprint,
        "size": encoder.vocabulary.size,
        "top_k": reading.top_k,
        "sources": [{"name": s.name, "split": s.split, "documents": len(s)} for s in corpus.sources],
        "reading": {name: getattr(reading, name) for name in ("symbols", "units", "overlap")},
        "documents_per_file": documents,
    }
    _begin(folder, settings)
    files = [(source, first) for source in corpus.sources for first in range(0, len(source), documents)]
    for source, first in files[share[0] :: share[1]]:
        path = source_folder(folder, source.number) / file_name(first)
        if not path.exists():
            yield _write(path, source, range(first, min(first + documents, len(source))), model, encoder, reading)


def _begin(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / SETTINGS
    if path.exists():
        there = open_predictions(folder).settings
        differing = [name for name in settings if there.get(name) != settings[name]]
        if differing:
            raise PredictionsError(f"{folder} holds predictions of another {', '.join(differing)}: take another folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(settings, indent=1))


def _write(
    path: Path, source: Source, numbers: range, model: Any, encoder: Encoder, reading: Reading
) -> tuple[int, int]:
    """A file of the documents of these numbers; how many they are, and their symbols."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    writer, symbols = ArrayRecordWriter(str(partial), "group_size:1"), 0
    documents = [source[number].data for number in numbers]
    try:
        for number, found in predicted(model, encoder, documents, reading):
            writer.write(found.to_bytes(documents[number], encoder.vocabulary.size))
            symbols += len(found.nll_BxT)
        writer.close()
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return len(documents), symbols
