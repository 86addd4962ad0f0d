"""Sources of raw documents, named by one string: `0.7*stdlib + 0.3*text:notes/*.md`."""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex, cast

import grain
import tensorflow_datasets as tfds

from lexitok.data import digits, markov, stdlib
from lexitok.data.prepare import Recipe, prepared
from lexitok.data.readers import READERS, SPLITS, RawDocument, Reader, SourceError, fixed_part, matching_files

KINDS = ("stdlib", "digits", "markov", "text:GLOB", "jsonl:GLOB", "chats:GLOB", "parquet:GLOB", "tfds:NAME")
_WEIGHT = re.compile(r"\s*([0-9.]+(?:e-?[0-9]+)?)\s*\*\s*(?=[a-z])")
_STORED_FIELD = "text"  # of what `prepare` writes


@dataclasses.dataclass(frozen=True)
class Source:
    """One split of one source; documents by index, in a fixed order that is not that of the files.

    Attributes:
      name: its string in the config.
      license, description: as recorded in the data set.
      number: of the source in a mixture, from 0.
      metadata: of local sources, the bytes with text and the empty documents that were skipped, over all splits.
      predictions: by index, of each document, as `RawDocument` has them; None without.
    """

    name: str
    split: str
    license: str
    description: str
    metadata: dict[str, Any]
    _records: Any
    _field: str
    number: int = 0
    predictions: Any = None

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: SupportsIndex) -> RawDocument:
        record = self._records[index]
        if self._field not in record:
            raise SourceError(f"{self.name}: no field {self._field!r}; there are {sorted(record)}. Set data.field.")
        value = record[self._field]
        data = value.encode() if isinstance(value, str) else bytes(value)
        name = record["id"].decode() if isinstance(record.get("id"), bytes) else f"{self.split}[{index}]"
        predictions = b"" if self.predictions is None else self.predictions[index]
        return RawDocument(f"{self.name}: {name}", data, self.number, predictions)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Sources with weights. A weight is a share of the documents that are drawn, whatever their length.

    By index and in `documents`, sources of a mixture take turns by weight until the first of them is exhausted.
    """

    sources: tuple[Source, ...]
    weights: tuple[float, ...]

    def dataset(self) -> grain.MapDataset:
        """Its documents (`RawDocument`) for Grain, in a fixed order."""
        return mixed([grain.MapDataset.source(source) for source in self.sources], self.weights)

    def __len__(self) -> int:
        return len(self.dataset())

    def __getitem__(self, index: int) -> RawDocument:
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        return cast(RawDocument, self.dataset()[index % len(self)])

    def documents(self, max_bytes: int = 0) -> Iterator[RawDocument]:
        """Whole documents in a fixed order, `max_bytes` in all at most (0: all of them), but one at least."""
        data, total = self.dataset(), 0
        for index in range(len(data)):
            document = cast(RawDocument, data[index])
            total += len(document.data)
            if max_bytes and index and total > max_bytes:
                return
            yield document


def shuffled(
    corpus: Corpus, *, seed: int, share: tuple[int, int] = (0, 1), epochs: int | None = None
) -> list[grain.MapDataset]:
    """The documents of each source for training, in random order, epoch after epoch.

    Args:
      corpus: the sources.
      seed: of the order.
      share: its number and how many there are, if documents are divided among several processes.
      epochs: how often to go through the documents; None: without end.

    Raises:
      ValueError: a source has fewer documents than there are shares.
    """
    index, count = share
    for source in corpus.sources:
        if len(source) < count:
            raise ValueError(f"{source.name} has {len(source)} documents, fewer than the {count} processes")
    parts = [grain.MapDataset.source(source)[index::count] for source in corpus.sources]  # no document is shared
    return [part.seed(seed).shuffle().repeat(epochs) for part in parts]


def mixed(parts: Sequence[grain.MapDataset], weights: Sequence[float]) -> grain.MapDataset:
    """Data sets that take turns by weight."""
    return parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, weights)


def open_source(spec: str, split: str, *, cache: str | os.PathLike, field: str = "text") -> Corpus:
    """Opens one split of a source or a mixture; local sources are written to `cache` first, once.

    Args:
      spec: sources `KINDS`, joined by ` + `, each with an optional `WEIGHT*` before it (1 if it has none). Globs may
        hold `{split}`, which stands for `train`, `validation` and `test`; without it, documents are split by a hash of
        their names, 90 : 5 : 5.
      split: `train`, `validation` or `test`, or what the TFDS data set has; slices such as `train[:10%]` too.
      field: of JSONL, Parquet and TFDS records: where the text is.

    Raises:
      SourceError: an unknown kind, a bad weight, no such files, files that cannot be read, no such split.
    """
    parts = [_weight_and_name(part) for part in _parts(spec)]
    opened = (_open(name, split, cache, field) for _, name in parts)
    sources = tuple(dataclasses.replace(source, number=i) for i, source in enumerate(opened))
    return Corpus(sources, tuple(weight for weight, _ in parts))


def has_chats(spec: str) -> bool:
    """Whether a source, or one of a mixture, is of chats."""
    return any(_weight_and_name(part)[1].startswith("chats:") for part in _parts(spec))


def _parts(spec: str) -> list[str]:
    return re.split(r"\s\+\s", spec)


def _weight_and_name(part: str) -> tuple[float, str]:
    match = _WEIGHT.match(part)
    name = (part[match.end() :] if match else part).strip()
    try:
        weight = float(match.group(1)) if match else 1.0
    except ValueError:
        weight = 0.0
    if weight <= 0:
        raise SourceError(f"source {part.strip()!r}: a weight is a number above 0")
    return weight, name


def _open(name: str, split: str, cache: str | os.PathLike, field: str) -> Source:
    kind, _, argument = name.partition(":")
    if kind == "tfds" and argument:
        return _source(name, split, _tfds_builder(name, argument), field)
    if name in _EMBEDDED:
        return _source(name, split, prepared(_EMBEDDED[name](), cache), _STORED_FIELD)
    if kind in READERS and argument:
        return _source(name, split, prepared(_files_recipe(name, kind, argument, field), cache), _STORED_FIELD)
    raise SourceError(f"unknown source {name!r}; there are {', '.join(KINDS)}, joined by ' + ', weighted by '0.5*'")


def _source(name: str, split: str, builder: Any, field: str) -> Source:
    splits = builder.info.splits
    if re.split(r"[\[+]", split)[0] not in splits:
        there = ", ".join(f"{key!r} ({value.num_examples} documents)" for key, value in splits.items())
        hint = " Documents are split by a hash of their names: add more, or put {split} into the glob."
        raise SourceError(f"{name}: no split {split!r}; there are {there}.{hint if '{split}' not in name else ''}")
    return Source(
        name=name,
        split=split,
        license=builder.info.redistribution_info.license.strip(),
        description=builder.info.description,
        metadata=dict(builder.info.metadata or {}),
        _records=builder.as_data_source(split=split),
        _field=field,
    )


def _tfds_builder(name: str, argument: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder(argument, file_format="array_record")
        builder.download_and_prepare()
    except (tfds.core.DatasetNotFoundError, ValueError, OSError) as error:
        raise SourceError(f"{name}: TFDS cannot open it: {error}") from error
    return builder


def _stdlib_recipe() -> Recipe:
    state = [(name, path.stat().st_size) for name, path in stdlib.stdlib_files()]
    return Recipe(
        name="stdlib",
        description=f"Sources of the standard library and topics of the language reference of {stdlib.revision()}.",
        license=stdlib.LICENSE,
        state=[stdlib.revision(), state],
        read={"": stdlib.read_stdlib},
    )


def _digits_recipe() -> Recipe:
    return Recipe(
        name="digits",
        description="Numbers that are copied and added.",
        license=digits.LICENSE,
        state=[digits.VERSION, digits.DOCUMENTS, digits.LINES],
        read={"": digits.read_digits},
    )


def _markov_recipe() -> Recipe:
    return Recipe(
        name="markov",
        description="A language of nine letters whose probabilities are known.",
        license=markov.LICENSE,
        state=[markov.VERSION, markov.DOCUMENTS, markov.BYTES, markov.CONCENTRATION],
        read={"": markov.read_markov},
    )


_EMBEDDED = {"stdlib": _stdlib_recipe, "digits": _digits_recipe, "markov": _markov_recipe}  # sources without files


def _files_recipe(name: str, kind: str, pattern: str, field: str) -> Recipe:
    by_split = "{split}" in pattern
    patterns = {split: pattern.replace("{split}", split) for split in SPLITS} if by_split else {"": pattern}
    files = {split: matching_files(glob) for split, glob in patterns.items()}
    if not any(files.values()):
        tried = " or ".join(patterns.values())
        raise SourceError(f"{name}: no such file: nothing matches {tried} (from {os.getcwd()})")
    state = [
        (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns)
        for paths in files.values()
        for path in paths
    ]

    def reading(split: str):
        root = fixed_part(patterns[split])
        return lambda: _read(files[split], root, READERS[kind], field)

    return Recipe(
        name=name,
        description=f"Documents of {name}, field {field!r}.",
        license="that of the files",
        state=[field, state],
        read={split: reading(split) for split, paths in files.items() if paths},
    )


def _read(files: list, root, reader: Reader, field: str) -> Iterator[RawDocument]:
    for path in files:
        try:
            yield from reader(path, path.relative_to(root).as_posix(), field)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error}") from error
