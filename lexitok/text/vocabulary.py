"""Vocabularies: token id → the exact bytes it stands for, and which ids are special."""

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np

from lexitok.text.alphabet import ByteAlphabet

_FORMAT = "lexitok vocabulary 1"


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What every id stands for.

    Attributes:
      token_bytes: the exact bytes of each id; specials have none.
      specials: ids that are not text.
      bos: stands before a document (or a piece of one); never predicted.
      eot: ends a document; predicted, and zero bytes long.
      pad: fills a row; never scored. May be `eot` where a tokenizer has no padding id of its own.
    """

    token_bytes: tuple[bytes, ...]
    specials: frozenset[int]
    bos: int
    eot: int
    pad: int

    def __post_init__(self) -> None:
        for name in ("bos", "eot", "pad"):
            if getattr(self, name) not in self.specials:
                raise ValueError(f"{name} is id {getattr(self, name)}, which is not among the specials")
        for i in self.specials:
            if not 0 <= i < len(self.token_bytes):
                raise ValueError(f"special id {i} is outside the vocabulary (0 to {len(self.token_bytes) - 1})")
            if self.token_bytes[i]:
                raise ValueError(f"special id {i} stands for {self.token_bytes[i]!r}; specials have zero bytes")

    @property
    def size(self) -> int:
        """Number of ids: the width of the softmax."""
        return len(self.token_bytes)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """int32 `[size]`: bytes of each id."""
        return np.fromiter(map(len, self.token_bytes), np.int32, self.size)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary, in hexadecimal: equal if and only if every id means the same."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def decode(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes that `ids` stand for; specials stand for none.

        Raises:
          ValueError: an id is not in the vocabulary; names it and its place.
        """
        array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
        outside = np.flatnonzero((array < 0) | (array >= self.size))
        if len(outside):
            at = int(outside[0])
            raise ValueError(f"token id {array[at]} at position {at} is outside the vocabulary (0 to {self.size - 1})")
        return b"".join(map(self.token_bytes.__getitem__, array.tolist()))

    def to_bytes(self) -> bytes:
        """The vocabulary as text (JSON), for checkpoints; `from_bytes` reads it."""
        content = {
            "format": _FORMAT,
            "bos": self.bos,
            "eot": self.eot,
            "pad": self.pad,
            "specials": sorted(self.specials),
            "tokens": [base64.b64encode(token).decode() for token in self.token_bytes],
        }
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Vocabulary":
        """Reads what `to_bytes` wrote.

        Raises:
          ValueError: `data` is something else, or damaged.
        """
        try:
            content = json.loads(data)
            if content["format"] != _FORMAT:
                raise ValueError(f"format is {content['format']!r}")
            return cls(
                token_bytes=tuple(base64.b64decode(token, validate=True) for token in content["tokens"]),
                specials=frozenset(content["specials"]),
                bos=content["bos"],
                eot=content["eot"],
                pad=content["pad"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a vocabulary in the format {_FORMAT!r}: {error}") from error


def byte_vocabulary(alphabet: ByteAlphabet) -> Vocabulary:
    """The vocabulary of a byte model."""
    plain = map(alphabet.plain, range(alphabet.size))
    tokens = [bytes([i]) if i < 256 and i not in alphabet.specials else b"" for i in plain]
    return Vocabulary(tuple(tokens), alphabet.specials, bos=alphabet.bos, eot=alphabet.eot, pad=alphabet.pad)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A text as tokens.

    Attributes:
      ids: int32 `[n]`.
      nbytes: int32 `[n]`, raw bytes of the text that each token stands for; their sum is the length of the text.
      lossy: the tokens' own bytes are not those of the text.
    """

    ids: np.ndarray
    nbytes: np.ndarray
    lossy: bool


@runtime_checkable
class Tokenizer(Protocol):
    """Bytes to tokens."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes; without `bos` and `eot`."""
        ...

    def to_bytes(self) -> bytes:
        """The whole tokenizer, for checkpoints."""
        ...
