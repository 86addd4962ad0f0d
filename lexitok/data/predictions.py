"""What a teacher predicted of every document of a corpus, kept on disk and read by Grain beside the documents.

`lexitok.distill.keeping` writes them: a folder with `predictions.json`, which says of what they are, and for each
source a folder of files of array_record, a record a document, in the order of the source. A record is the digest of the
document's bytes, by which predictions of another text are found out, and the arrays of `Predictions`, one behind the
other.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from jaxtyping import Array, Float, Int

from lexitok.data.readers import RawDocument, SourceError
from lexitok.data.sources import Corpus

SETTINGS, SUFFIX = "predictions.json", ".array_record"
_NEEDED = ("teacher", "record", "size", "top_k", "sources")  # of the settings
_DIGEST = 8  # bytes of it

# A leaf is a JAX or a numpy array, or what a tree map puts in its place.
FloatLeafT = Float[Array, "*B T"] | Any
FloatLeafTxG = Float[Array, "*B T G"] | Any
FloatLeafTxk = Float[Array, "*B T k"] | Any
IntLeafTxk = Int[Array, "*B T k"] | Any


class PredictionsError(SourceError):
    """Predictions that are not there, not whole, or not of these documents; the message says which and why."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model predicted at each target, of a document or, with an axis `B` in front, of a batch.

    Attributes:
      nll_BxT: nats of the target.
      log_mass_BxTxG: log-mass of two groups of symbols (`lexitok.distill.beginnings`).
      top_BxTxk: the `k` largest logits, less the largest of them; float16.
      top_ids_BxTxk: whose they are.
      log_rest_BxT: log of the sum of the exponentials of all others, on the same scale.
    """

    nll_BxT: FloatLeafT
    log_mass_BxTxG: FloatLeafTxG
    top_BxTxk: FloatLeafTxk
    top_ids_BxTxk: IntLeafTxk
    log_rest_BxT: FloatLeafT

    @classmethod
    def empty(cls, shape: tuple[int, ...], top_k: int, array: Callable[..., Any] = np.full) -> "Predictions":
        """Zeros, of targets of this shape; `array` makes a leaf of its shape, what it is filled with and its type."""
        groups, tops = (*shape, 2), (*shape, top_k)
        return cls(
            nll_BxT=array(shape, 0, np.float32),
            log_mass_BxTxG=array(groups, 0, np.float32),
            top_BxTxk=array(tops, 0, np.float16),
            top_ids_BxTxk=array(tops, 0, np.int32),
            log_rest_BxT=array(shape, 0, np.float32),
        )

    def part(self, start: int, stop: int) -> "Predictions":
        """Of some targets of a document."""
        return jax.tree.map(lambda x: x[start:stop], self)

    def put_into(self, batch: "Predictions", row: int, column: int) -> None:
        """Those of a document, into a row of a batch of numpy arrays."""
        for own, into in zip(jax.tree.leaves(self), jax.tree.leaves(batch), strict=True):
            into[row, column : column + len(own)] = own

    def to_bytes(self, data: bytes, size: int) -> bytes:
        """A record of a document.

        Args:
          data: the document.
          size: symbols of the vocabulary, which say how many bytes an id takes.
        """
        ids = self.top_ids_BxTxk.astype(_id_type(size))
        arrays = jax.tree.leaves(dataclasses.replace(self, top_ids_BxTxk=ids))
        return _digest(data) + b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)

    @classmethod
    def from_bytes(cls, record: bytes, data: bytes, targets: int, size: int, top_k: int) -> "Predictions":
        """What `to_bytes` made.

        Args:
          record: of the document.
          data, size: as of `to_bytes`.
          targets: of the document.
          top_k: logits at each target.

        Raises:
          ValueError: it is of another document, or of another number of targets.
        """
        if record[:_DIGEST] != _digest(data):
            raise ValueError("it is of another text")
        like = cls.empty((targets,), top_k)
        like = dataclasses.replace(like, top_ids_BxTxk=like.top_ids_BxTxk.astype(_id_type(size)))
        leaves, kind = jax.tree.flatten(like)
        whole, there = sum(x.nbytes for x in leaves), len(record) - _DIGEST
        if there != whole:
            raise ValueError(f"it has {there} bytes, and those of {targets} targets are {whole}")
        found, at = [], _DIGEST
        for x in leaves:
            found.append(np.frombuffer(record, x.dtype, x.size, at).reshape(x.shape))
            at += x.nbytes
        read = jax.tree.unflatten(kind, found)
        return dataclasses.replace(read, top_ids_BxTxk=read.top_ids_BxTxk.astype(np.int32))


@dataclasses.dataclass(frozen=True)
class KeptPredictions:
    """A folder of predictions.

    Attributes:
      path: of it.
      settings: what `predictions.json` says: `teacher` (its `run`, `step` and `fingerprint`), `record` of its run,
        `vocabulary` (its fingerprint) and `size`, `top_k`, `sources` (of each `name`, `split` and `documents`), and how
        documents were read.
    """

    path: Path
    settings: dict[str, Any]

    @property
    def top_k(self) -> int:
        """Logits at each target."""
        return self.settings["top_k"]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of what was predicted, by whom, and how."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]

    def of(self, raw: RawDocument, targets: int) -> Predictions:
        """Those of a document, that `beside` has put there.

        Raises:
          PredictionsError: they are of another text, or tokenisation; names the document.
        """
        try:
            size = self.settings["size"]
            return Predictions.from_bytes(raw.predictions, raw.data, targets, size, self.top_k)
        except ValueError as error:
            raise PredictionsError(f"{raw.id}: what {self.path} has for it does not fit: {error}") from None

    def beside(self, corpus: Corpus) -> Corpus:
        """The corpus, whose documents then have their predictions with them.

        Raises:
          PredictionsError: it has other sources, or they are not complete.
        """
        theirs = [source["documents"] for source in self.settings["sources"]]
        ours = [len(source) for source in corpus.sources]
        if theirs != ours:
            raise PredictionsError(
                f"{self.path} is of sources of {theirs} documents, and data.source has {ours}: other text, or another "
                "split"
            )
        records = [self._records(number, count) for number, count in enumerate(ours)]
        sources = (dataclasses.replace(s, predictions=r) for s, r in zip(corpus.sources, records, strict=True))
        return dataclasses.replace(corpus, sources=tuple(sources))

    def _records(self, number: int, count: int) -> ArrayRecordDataSource:
        folder, there = source_folder(self.path, number), 0
        files = sorted(folder.glob(f"[0-9]*{SUFFIX}"))
        for file in files:
            if file.name == file_name(there):
                there += _count(file)
        if there != count:
            raise PredictionsError(
                f"{folder} has the predictions of the first {there} of {count} documents: they are being made, or that "
                "was stopped; the same command goes on"
            )
        return ArrayRecordDataSource([str(file) for file in files])


def open_predictions(path: str | Path) -> KeptPredictions:
    """A folder of predictions; nothing of them is read.

    Raises:
      PredictionsError: it is none.
    """
    try:
        settings = json.loads((Path(path) / SETTINGS).read_text())
        if missing := [name for name in _NEEDED if name not in settings]:
            raise ValueError(f"{SETTINGS} does not say {', '.join(missing)}")
    except (OSError, ValueError, TypeError) as error:
        raise PredictionsError(f"{path} holds no predictions of a teacher: {error}") from error
    return KeptPredictions(Path(path), settings)


def source_folder(path: Path, number: int) -> Path:
    """Where the predictions of a source of a mixture are."""
    return path / f"source-{number}"


def file_name(first: int) -> str:
    """Of the file whose first record is of this document."""
    return f"{first:09d}{SUFFIX}"


def _count(file: Path) -> int:
    try:
        return len(ArrayRecordDataSource(str(file)))
    except Exception as error:  # whatever the reader finds wrong with a file
        raise PredictionsError(f"{file} cannot be read: {error}") from error


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _id_type(size: int) -> Any:
    return np.uint16 if size <= 2**16 else np.int32
