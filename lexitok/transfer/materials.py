"""`Materials`: what methods are given beside a model's tables, made when they ask: counts, vectors, translations."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lexitok.data.sources import open_source
from lexitok.hub.conversion import is_run
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.hypernetworks import predictions_of
from lexitok.transfer.methods.hypernetwork import Predicted
from lexitok.transfer.translation import read_bitext, token_translations
from lexitok.transfer.vectors import (
    WordVectors,
    read_dictionary,
    read_word_vectors,
    rotated,
    spelled_vectors,
    train_token_vectors,
    train_word_vectors,
    vectors_by_words,
    vectors_of,
)

TRAIN = "train"
SIDES = ("in", "out")


@dataclasses.dataclass(frozen=True)
class Materials:
    """Where it comes from.

    Attributes:
      vectors: of the target's tokens: a run of a model that has the new tokenizer, whose rows they are; a file
        (`read_word_vectors`), of tokens by their spelling, or with a dictionary of words; or `train`, on `text`.
      source_vectors: the file of the source's tokens, or words; None: `vectors` has them, too.
      text: a source of documents (`lexitok.data.sources.open_source`), of which the split `train` is read.
      source_text: of the source's language, whose words get vectors there where there is a dictionary.
      dictionary: a file of pairs of words (`read_dictionary`); vectors of tokens are then made of those of words, and
        the target's are turned into the space of the source's (WECHSEL).
      parallel: two files (`read_bitext`), of the source's language and of the target's.
      hypernetwork: a run of one (`configs/hypernetwork.py`); its base model is the one at hand, or what that was
        fine-tuned from.
      most_bytes: of a text that are read, whole documents; 0: all.
      cache: where texts are written once.
      training: settings of the training of vectors (`lexitok.transfer.vectors.training`).
    """

    vectors: str | Path | None = None
    source_vectors: str | Path | None = None
    text: str | None = None
    source_text: str | None = None
    dictionary: str | Path | None = None
    parallel: Sequence[str | Path] | None = None
    hypernetwork: str | Path | None = None
    most_bytes: int = 50_000_000
    cache: str = "~/.cache/lexitok"
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.parallel is not None and len(self.parallel) != 2:
            raise TransferError(f"a parallel text is two files, of the source and of the target, not {self.parallel}")

    def given(self, source: Tokenizer, target: Tokenizer) -> "Given":
        """What there is for a pair of tokenizers."""
        return Given(self, source, target)


class Given:
    """What `Materials` are for a pair of tokenizers; each is worked out once, when it is asked for."""

    def __init__(self, materials: Materials, source: Tokenizer, target: Tokenizer):
        self._of, self._source, self._target = materials, source, target

    def __call__(self, fields: set[str], side: str) -> dict[str, Any]:
        """Values for the fields of a method that it can be given, as `make_method` takes them.

        Args:
          fields: what the method takes.
          side: `in` or `out`, the table that it makes rows of.

        Raises:
          TransferError: what is needed was not named, or does not fit.
        """
        ways = {
            "counts_U": lambda: self.counts,
            "translations_VxU": lambda: self.translations,
            "vectors_VxA": lambda: self._vectors(side, "source_vectors_UxA" in fields)[1],
            "source_vectors_UxA": lambda: self._vectors(side, True)[0],
            "predicted": lambda: self.predicted,
        }
        return {field: way() for field, way in ways.items() if field in fields}

    @functools.cached_property
    def counts(self) -> np.ndarray | None:
        """int64 `[U]`, of the source's tokens in the text."""
        if self._of.text is None:
            return None
        counts = np.zeros(self._source.vocabulary.size, np.int64)
        for document in self._documents(self._of.text):
            counts += np.bincount(self._source.encode(document).ids, minlength=len(counts))
        return counts

    @functools.cached_property
    def translations(self) -> Any:
        """Sparse `[V, U]`, of the parallel text."""
        if self._of.parallel is None:
            return None
        return token_translations(read_bitext(*self._of.parallel), self._source, self._target)

    @functools.cached_property
    def predicted(self) -> Predicted | None:
        """What the hypernetwork makes of the target."""
        return None if self._of.hypernetwork is None else predictions_of(self._of.hypernetwork, self._target)

    def _vectors(self, side: str, both: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Of the source's tokens and the target's."""
        if self._of.vectors is None:
            return None, None
        if self._of.dictionary is not None:
            return self._by_words
        if self._of.vectors == TRAIN:
            return self._trained if both else (None, self._trained_alone)
        if is_run(self._of.vectors):
            return None, self._of_run[SIDES.index(side)]
        return self._spelled(both)

    @functools.cached_property
    def _of_run(self) -> tuple[np.ndarray, np.ndarray]:
        return vectors_of(str(self._of.vectors), self._target)

    @functools.cached_property
    def _trained(self) -> tuple[np.ndarray, np.ndarray]:
        ours, theirs = train_token_vectors(
            self._documents(self._of.text), [self._source, self._target], **self._of.training
        )
        return ours, theirs

    @functools.cached_property
    def _trained_alone(self) -> np.ndarray:
        return train_token_vectors(self._documents(self._of.text), [self._target], **self._of.training)[0]

    @functools.cached_property
    def _by_words(self) -> tuple[np.ndarray, np.ndarray]:
        assert self._of.dictionary is not None
        pairs = read_dictionary(self._of.dictionary)
        source = self._words(self._of.source_vectors or self._of.vectors, self._of.source_text)
        target = rotated(source, self._words(self._of.vectors, self._of.text), pairs)
        return vectors_by_words(source, self._source), vectors_by_words(target, self._target)

    def _words(self, vectors: str | Path | None, text: str | None) -> WordVectors:
        if vectors == TRAIN:
            return train_word_vectors(self._documents(text), **self._of.training)
        return read_word_vectors(str(vectors))

    def _spelled(self, both: bool) -> tuple[np.ndarray | None, np.ndarray]:
        theirs = read_word_vectors(str(self._of.vectors))
        ours = read_word_vectors(self._of.source_vectors) if self._of.source_vectors is not None else theirs
        source = spelled_vectors(ours, self._source.vocabulary) if both else None
        return source, spelled_vectors(theirs, self._target.vocabulary)

    def _documents(self, text: str | None) -> Iterator[bytes]:
        if text is None:
            raise TransferError("vectors are to be trained, and no text is named: text, and source_text for words")
        corpus = open_source(text, "train", cache=self._of.cache)
        return (document.data for document in corpus.documents(self._of.most_bytes))
