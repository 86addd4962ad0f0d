"""Local sources, written once as array_record by TFDS and reused. TensorFlow is not needed for it.

A source is written to a folder of its own, which is renamed when it is complete: a preparation that is killed, runs
out of disk, or runs twice at the same time leaves nothing that a later one would take for whole.
"""

import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from lexitok.data.readers import SPLITS, RawDocument, SourceError

_VERSION = "1.0.0"  # of what is written; part of every key
_ABANDONED = 24 * 3600  # seconds after which a folder that was never completed is removed
_HELD_OUT = 0.05  # of the documents, in validation and in test each


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A local source, ready to be written.

    Attributes:
      name: what errors call it: its string in the config.
      description, license: recorded in the data set.
      state: what the result depends on (files, sizes, dates, settings); a change of it makes a new data set.
      read: split name, or `""` for documents that are to be split by `split_of` → documents.
    """

    name: str
    description: str
    license: str
    state: object
    read: Mapping[str, Callable[[], Iterable[RawDocument]]]

    @property
    def key(self) -> str:
        content = json.dumps([_VERSION, self.name, sorted(self.read), self.state])
        return hashlib.sha256(content.encode()).hexdigest()[:24]


def split_of(name: str) -> str:
    """The split of a document, by a hash of its name: 90% train, 5% validation, 5% test."""
    place = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    if place < _HELD_OUT:
        return "validation"
    return "test" if place < 2 * _HELD_OUT else "train"


def prepared(recipe: Recipe, cache: str | os.PathLike) -> tfds.core.DatasetBuilder:
    """The data set of a recipe, written now unless it is there.

    Raises:
      SourceError: no document in it has text, or the cache cannot be written (a full disk).
    """
    root = pathlib.Path(cache).expanduser() / "prepared"
    target = root / recipe.key
    if not target.exists():
        _write(recipe, root, target)
    try:
        return tfds.builder_from_directory(_data_folder(target))
    except Exception as error:  # a builder's files can be wrong in many ways
        raise SourceError(f"{recipe.name}: its copy in {target} is damaged ({error}); remove that folder") from error


def _data_folder(folder: pathlib.Path) -> pathlib.Path:
    return folder / _Documents.name / _VERSION


def _write(recipe: Recipe, root: pathlib.Path, target: pathlib.Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(root)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{recipe.key}-", dir=root))
    except OSError as error:
        raise SourceError(f"cannot write to the cache {root}: {error}; set data.cache to another folder") from error
    try:
        _write_into(recipe, folder)
        _publish(folder, target)
    except (OSError, RuntimeError) as error:  # the writer of array_record raises the latter, on a full disk too
        raise SourceError(
            f"{recipe.name}: could not be written to the cache {root}: {error}. Nothing half-written is kept; "
            "make room, or set data.cache to another folder."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_into(recipe: Recipe, folder: pathlib.Path) -> None:
    counts = _count(recipe)
    builder = _Documents(recipe, counts, data_dir=str(folder), file_format="array_record")
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints what the data set's folder is for now
        builder.download_and_prepare()
    read: Any = tfds.builder_from_directory(_data_folder(folder))
    for split in counts.documents:
        data = read.as_data_source(split=split)
        if len(data) != counts.documents[split] or data[len(data) - 1] is None:
            raise OSError(f"{len(data)} documents of split {split!r} were kept of {counts.documents[split]}")


def _publish(folder: pathlib.Path, target: pathlib.Path) -> None:
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():  # it does where another process was first: its copy is as good
            raise


def _remove_abandoned(root: pathlib.Path) -> None:
    for folder in root.glob(".*-*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)


@dataclasses.dataclass
class _Counts:
    documents: dict[str, int]  # by split, those with text
    empty: int
    bytes: int


def _count(recipe: Recipe) -> _Counts:
    """Reads all there is once before anything is written: what is wrong with a source is found here."""
    documents, counts, first_empty = collections.Counter(), _Counts({}, 0, 0), ""
    for split, document in _documents(recipe):
        if document.data:
            documents[split] += 1
            counts.bytes += len(document.data)
        else:
            counts.empty += 1
            first_empty = first_empty or document.id
    if not documents:
        raise SourceError(f"{recipe.name}: no text; all {counts.empty} documents are empty")
    if counts.empty:
        logging.warning("%s: %d empty documents are skipped, %s first", recipe.name, counts.empty, first_empty)
    counts.documents = {split: documents[split] for split in SPLITS if documents[split]}
    return counts


def _documents(recipe: Recipe, only: str | None = None) -> Iterator[tuple[str, RawDocument]]:
    for split, read in recipe.read.items():
        if split and only and split != only:
            continue
        for document in read():
            of = split or split_of(document.id)
            if only is None or of == only:
                yield of, document


class _Documents(tfds.core.GeneratorBasedBuilder):
    """Raw documents: a name, and bytes of any kind."""

    name = "documents"
    code_path = None  # no checksums of downloads lie beside this file
    VERSION = tfds.core.Version(_VERSION)

    def __init__(self, recipe: Recipe, counts: _Counts, **settings):
        self._recipe = recipe
        self._counts = counts
        super().__init__(**settings)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self._recipe.description,
            license=self._recipe.license,
            features=tfds.features.FeaturesDict(
                {"id": tfds.features.Text(), "text": tfds.features.Tensor(shape=(), dtype=np.object_)}
            ),
            metadata=tfds.core.MetadataDict(
                source=self._recipe.name, bytes=self._counts.bytes, empty_documents=self._counts.empty
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._generate_examples(split) for split in self._counts.documents}

    def _generate_examples(self, split):
        for _, document in _documents(self._recipe, only=split):
            if document.data:
                yield document.id, {"id": document.id, "text": document.data}
