"""Vocabularies: token id → the exact bytes it stands for, and which ids are special."""

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lexitok.text.alphabet import ByteAlphabet

TOKENIZER_FORMAT = "lexitok tokenizer 1"  # of what tokenizers without a file format of their own are kept in
_FORMAT, _FORMAT_WITHOUT_NAMES = "lexitok vocabulary 2", "lexitok vocabulary 1"


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What every id stands for.

    Attributes:
      token_bytes: the exact bytes of each id; specials have none.
      specials: ids that are not text.
      bos: stands before a document (or a piece of one); never predicted.
      eot: ends a document; predicted, and zero bytes long.
      pad: fills a row; never scored. May be `eot` where a tokenizer has no padding id of its own.
      names: how specials are spelled, by id, where they are: `<|im_end|>`.
      roles: what specials are for, where it is known: `unknown`, `turn_end` (see `lexitok.text.roles`).
    """

    token_bytes: tuple[bytes, ...]
    specials: frozenset[int]
    bos: int
    eot: int
    pad: int
    names: Mapping[int, str] = dataclasses.field(default_factory=dict, hash=False)
    roles: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        named = {f"the name {name!r}": i for i, name in self.names.items()}
        for what, i in {"bos": self.bos, "eot": self.eot, "pad": self.pad, **self.roles, **named}.items():
            if i not in self.specials:
                raise ValueError(f"{what} is id {i}, which is not among the specials")
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
    def byte_fallback(self) -> frozenset[int]:
        """Ids of byte tokens that text takes only where no other token has the byte, as SentencePiece has them.

        They are all bytes in their order, one behind the other, and some of them are another id's, too.
        """
        tokens = self.token_bytes
        if len(set(tokens)) == len(tokens) - max(tokens.count(b"") - 1, 0):
            return frozenset()
        every = tuple(bytes([byte]) for byte in range(256))
        starts = (i for i, token in enumerate(tokens) if token == every[0] and tokens[i : i + 256] == every)
        start = next(starts, None)
        return frozenset() if start is None else frozenset(range(start, start + 256))

    @functools.cached_property
    def ids_of_bytes(self) -> Mapping[bytes, tuple[int, ...]]:
        """The ids that stand for some bytes, rising, those of `byte_fallback` last: the first is what text has."""
        found: dict[bytes, tuple[int, ...]] = {}
        fallback = self.byte_fallback
        for i, token in sorted(enumerate(self.token_bytes), key=lambda at: at[0] in fallback):
            if token:
                found[token] = (*found.get(token, ()), i)
        return found

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal: equal if and only if ids have the same bytes, specials and frames; names are not."""
        return hashlib.sha256(json.dumps({"format": _FORMAT_WITHOUT_NAMES, **self._content()}).encode()).hexdigest()

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

    def padded(self, size: int) -> "Vocabulary":
        """This vocabulary with ids that are never used behind it, as models have them whose tables are rounded up.

        Raises:
          ValueError: `size` is less than there are ids.
        """
        if size < self.size:
            raise ValueError(f"a vocabulary of {self.size} ids does not fit into {size}")
        tokens = self.token_bytes + (b"",) * (size - self.size)
        return dataclasses.replace(self, token_bytes=tokens, specials=self.specials | set(range(self.size, size)))

    def to_bytes(self) -> bytes:
        """The vocabulary as text (JSON), for checkpoints; `from_bytes` reads it."""
        names = {str(i): name for i, name in sorted(self.names.items())}
        content = {"format": _FORMAT, **self._content(), "names": names, "roles": dict(self.roles)}
        return json.dumps(content).encode()

    def _content(self) -> dict[str, Any]:
        return {
            "bos": self.bos,
            "eot": self.eot,
            "pad": self.pad,
            "specials": sorted(self.specials),
            "tokens": [base64.b64encode(token).decode() for token in self.token_bytes],
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> "Vocabulary":
        """Reads what `to_bytes` wrote.

        Raises:
          ValueError: `data` is something else, or damaged.
        """
        try:
            content = json.loads(data)
            if content["format"] not in (_FORMAT, _FORMAT_WITHOUT_NAMES):
                raise ValueError(f"format is {content['format']!r}")
            return cls(
                token_bytes=tuple(base64.b64decode(token, validate=True) for token in content["tokens"]),
                specials=frozenset(content["specials"]),
                bos=content["bos"],
                eot=content["eot"],
                pad=content["pad"],
                names={int(i): name for i, name in content.get("names", {}).items()},
                roles=content.get("roles", {}),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
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


@runtime_checkable
class BatchTokenizer(Tokenizer, Protocol):
    """A tokenizer whose library takes many texts at once, which is several times faster for short ones."""

    def batch_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, by the library alone.

        They are those of `encode` wherever they stand for just the bytes of the text, or for a space and these; where
        they do not, `encode` may find others.
        """
        ...
