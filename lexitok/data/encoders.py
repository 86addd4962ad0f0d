"""Raw documents → streams of symbols (`lexitok.data.layout.Document`), in three kinds that a config chooses from."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lexitok.data.layout import Document
from lexitok.text.alphabet import ALPHABETS, ByteAlphabet
from lexitok.text.segmentation import Splitter
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.splitters import make_splitter
from lexitok.text.vocabulary import Tokenizer, Vocabulary, byte_vocabulary

KINDS = ("bytes", "byte_units", "subword")


@runtime_checkable
@runtime_checkable
class Encoder(Protocol):
    """Documents to symbols and back.

    Attributes:
      kind: one of `KINDS`.
      boundary: the rule by which the model's units are seen; `none` where every symbol is a unit.
      vocabulary: what each symbol stands for; its `size` is the width of the softmax, and `bos`, `eot` and `pad` are
        in it.
      end_of_unit: the symbol that closes a unit, or None where the boundary rule has none.
    """

    @property
    def kind(self) -> str: ...
    @property
    def boundary(self) -> str: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def end_of_unit(self) -> int | None: ...

    def encode(self, data: bytes, source: str = "text") -> Document:
        """The document's stream, `eot` at its end. `source` is what errors call it."""
        ...

    def measure(self, data: bytes, source: str = "text") -> tuple[Document, bool]:
        """`encode(data)`, and whether its symbols stand for other bytes than `data` (a tokenizer that normalises)."""
        ...

    def decode(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes that symbols stand for. Raises ValueError for an id that is no symbol."""
        ...


class _Coder:
    """What the encoders share."""

    vocabulary: Vocabulary

    def encode(self, data: bytes, source: str = "text") -> Document:
        return self.measure(data, source)[0]

    def measure(self, data: bytes, source: str = "text") -> tuple[Document, bool]:
        raise NotImplementedError

    def decode(self, ids: Iterable[int] | np.ndarray) -> bytes:
        return self.vocabulary.decode(ids)


@dataclasses.dataclass(frozen=True)
class SubwordEncoder(_Coder):
    """Tokens of a tokenizer."""

    tokenizer: Tokenizer
    kind = "subword"
    boundary = "none"
    end_of_unit = None

    @property
    def vocabulary(self) -> Vocabulary:
        return self.tokenizer.vocabulary

    def measure(self, data: bytes, source: str = "text") -> tuple[Document, bool]:
        encoding = self.tokenizer.encode(data)
        return _flat(encoding.ids, encoding.nbytes, self.vocabulary), encoding.lossy


@dataclasses.dataclass(frozen=True)
class ByteEncoder(_Coder):
    """Plain bytes, each a unit."""

    alphabet: ByteAlphabet
    vocabulary: Vocabulary
    kind = "bytes"
    boundary = "none"
    end_of_unit = None

    def measure(self, data: bytes, source: str = "text") -> tuple[Document, bool]:
        symbols = self.alphabet.encode(data, source)
        return _flat(symbols, np.ones(len(data), np.int32), self.vocabulary), False


@dataclasses.dataclass(frozen=True)
class ByteUnitEncoder(_Coder):
    """Bytes that a splitter groups into units."""

    alphabet: ByteAlphabet
    vocabulary: Vocabulary
    splitter: Splitter
    boundary: str
    kind = "byte_units"

    @property
    def end_of_unit(self) -> int | None:
        return self.alphabet.end_of_unit if self.boundary == "end_symbol" else None

    def measure(self, data: bytes, source: str = "text") -> tuple[Document, bool]:
        symbols = self.alphabet.encode(data, source)
        if self.boundary == "end_symbol":
            return self._with_end_symbols(symbols, self.splitter.split(data).starts), False
        return self._lagged(symbols, data), False

    def _lagged(self, symbols: np.ndarray, data: bytes) -> Document:
        segmentation = self.splitter.split(data)
        ends = segmentation.ends()
        unit_ends = np.zeros(len(data) + 1, bool)
        unit_ends[ends - 1] = True
        unit_ends[-1] = True  # `eot`, a unit of its own
        return Document(
            symbols=np.append(symbols, np.int32(self.vocabulary.eot)),
            nbytes=_ones_then_zero(len(data)),
            unit_ends=unit_ends,
            closed=np.append(segmentation.closed, len(ends) + 1).astype(np.int32),
            boundary=self.boundary,
            bos=self.vocabulary.bos,
        )

    def _with_end_symbols(self, symbols: np.ndarray, starts: np.ndarray) -> Document:
        unit = np.cumsum(starts, dtype=np.int64) - 1  # of each byte
        units = int(unit[-1]) + 1 if len(unit) else 0
        n = len(symbols) + units + 1
        stream = np.full(n, self.alphabet.end_of_unit, np.int32)
        nbytes = np.zeros(n, np.int32)
        at = np.arange(len(symbols)) + unit  # one symbol more for every unit before
        stream[at] = symbols
        stream[-1] = self.vocabulary.eot
        nbytes[at] = 1
        return Document(
            symbols=stream,
            nbytes=nbytes,
            unit_ends=nbytes == 0,  # the symbols that close a unit, and `eot`
            closed=np.cumsum(nbytes == 0, dtype=np.int32),
            boundary=self.boundary,
            bos=self.vocabulary.bos,
        )


def _ones_then_zero(n: int) -> np.ndarray:
    nbytes = np.ones(n + 1, np.int32)
    nbytes[-1] = 0
    return nbytes


def _flat(symbols: np.ndarray, nbytes: np.ndarray, vocabulary: Vocabulary) -> Document:
    n = len(symbols) + 1
    return Document(
        symbols=np.append(symbols, np.int32(vocabulary.eot)),
        nbytes=np.append(nbytes, np.int32(0)),
        unit_ends=np.ones(n, bool),
        closed=np.arange(1, n + 1, dtype=np.int32),
        boundary="none",
        bos=vocabulary.bos,
    )


def make_encoder(text: Any, tokenizer: Tokenizer | None = None) -> Encoder:
    """The encoder that a config's `text` part describes; `tokenizer` for kind `subword` (see `make_tokenizer`).

    Raises:
      ValueError: an unknown kind, alphabet, splitter or boundary, named with what there is; or no tokenizer for
        `subword`.
    """
    _one_of("text.kind", text.kind, KINDS)
    if text.kind == "subword":
        if tokenizer is None:
            raise ValueError("text.kind 'subword' needs a tokenizer; make_tokenizer trains or loads one")
        return SubwordEncoder(tokenizer)
    alphabet = ALPHABETS[_one_of("text.alphabet", text.alphabet, ALPHABETS)]
    if text.kind == "bytes":
        return ByteEncoder(alphabet, byte_vocabulary(alphabet))
    _one_of("text.boundary", text.boundary, ("lagged", "end_symbol"))
    splitter = make_splitter(text.splitter, max_unit_bytes=text.max_unit_bytes, stride=text.stride, digits=text.digits)
    return ByteUnitEncoder(alphabet, byte_vocabulary(alphabet), splitter, text.boundary)


def make_tokenizer(vocabulary: Any, documents: Iterable[bytes]) -> SentencePieceTokenizer:
    """Loads the tokenizer at `vocabulary.path`, or else trains one on the first `train_bytes` of `documents`.

    Raises:
      FileNotFoundError, ValueError: as `SentencePieceTokenizer.load` and `train` do.
    """
    if vocabulary.path:
        return SentencePieceTokenizer.load(vocabulary.path)
    first = _first_bytes(documents, vocabulary.train_bytes)
    return SentencePieceTokenizer.train(first, kind=vocabulary.kind, size=vocabulary.size)


def _first_bytes(documents: Iterable[bytes], limit: int) -> Iterable[bytes]:
    left = limit
    for document in documents:
        yield document[:left]
        left -= len(document)
        if left <= 0:
            return


def _one_of(field: str, value: str, there_are: Iterable[str]) -> str:
    if value not in there_are:
        raise ValueError(f"{field} is {value!r}; there are {', '.join(there_are)}")
    return value
