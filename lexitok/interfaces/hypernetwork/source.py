"""The source of a hypernetwork: the tokenizer of its base model, in whose tokens other vocabularies are spelled."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from lexitok.data.spelling import Spelled, Spelling
from lexitok.text.matching import NONE
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer, Vocabulary

VOCABULARY = "vocabulary.model"  # of a run, in its directory


def source_tokenizer(c: Any) -> Tokenizer | None:
    """The tokenizer that a section names (`lexitok.config.hypernetwork`); None: it is the one of the text.

    Raises:
      ValueError: it is not there, cannot be read, or is another than the one that the section was made with.
    """
    path = c.vocabulary or (str(Path(c.run) / VOCABULARY) if c.run else "")
    if not path:
        return None
    file = Path(path).expanduser()
    try:
        stat = file.stat()
        tokenizer = _load(str(file), stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError) as error:
        raise ValueError(f"interface.vocabulary: the base model's tokenizer cannot be read: {error}") from error
    if c.vocabulary_fingerprint and c.vocabulary_fingerprint != tokenizer.vocabulary.fingerprint:
        raise ValueError(
            f"interface.vocabulary: {path} has the fingerprint {tokenizer.vocabulary.fingerprint[:12]}…, and this "
            f"hypernetwork was made for the tokens of {c.vocabulary_fingerprint[:12]}…"
        )
    return tokenizer


def source_vocabulary(c: Any, own: Vocabulary) -> Vocabulary:
    """The vocabulary that the rows of a section's table are of; `own` is that of the text. Raises as above."""
    tokenizer = source_tokenizer(c)
    return own if tokenizer is None else tokenizer.vocabulary


def pin_source(c: Any) -> None:
    """Writes into a section which file, and which vocabulary, the one that it names is.

    Raises:
      ValueError: as `source_tokenizer`.
    """
    tokenizer = source_tokenizer(c)
    if tokenizer is not None:
        c.vocabulary = c.vocabulary or str(Path(c.run) / VOCABULARY)
        c.vocabulary_fingerprint = tokenizer.vocabulary.fingerprint


def own_spelling(c: Any, own: Vocabulary) -> Spelling:
    """The spelling of the text's vocabulary, with room for its longest token.

    Raises:
      ValueError: as `source_tokenizer`.
      MatchError: the vocabularies do not go together.
    """
    tokenizer = source_tokenizer(c)
    if tokenizer is None:
        parts = np.arange(own.size, dtype=np.int32)[:, None]
        return Spelling(parts, np.asarray(c.language, np.int32))
    return _spelled(tokenizer, own, c.parts, c.language)


@functools.lru_cache(maxsize=2)
def _load(path: str, changed: int, size: int) -> Tokenizer:
    del changed, size  # a file that has changed is read again
    return load_tokenizer(path)


@functools.lru_cache(maxsize=2)  # a model is made several times: for its shapes, and for its parameters
def _spelled(tokenizer: Tokenizer, own: Vocabulary, parts: int, language: int) -> Spelling:
    spelling = Spelled(tokenizer, parts)(own, language)
    longest = int((spelling.parts_VxP != NONE).sum(axis=1).max(initial=1))
    return Spelling(spelling.parts_VxP[:, : max(1, longest)], spelling.language)
