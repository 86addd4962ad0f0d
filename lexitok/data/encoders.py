"""Raw documents → streams of symbols (`SymbolStream`), in three kinds that a config chooses from."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lexitok.text.alphabet import ALPHABETS, ByteAlphabet, doubled
from lexitok.text.boundaries import RULES, BoundaryRule, FoundByModel, NoBoundaries, Revealed, SymbolStream
from lexitok.text.segmentation import Splitter
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.splitters import make_splitter
from lexitok.text.splitters.tokens import TokenSplitter
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer, Vocabulary, byte_vocabulary

KINDS = ("bytes", "byte_units", "subword")


@runtime_checkable
class Encoder(Protocol):
    """Documents to symbols and back.

    Attributes:
      kind: one of `KINDS`.
      rule: by which the model's units are seen; `boundary` is its name.
      vocabulary: what each symbol stands for; its `size` is the width of the softmax, and `bos`, `eot` and `pad` are
        in it.
    """

    @property
    def kind(self) -> str: ...
    @property
    def rule(self) -> BoundaryRule: ...
    @property
    def boundary(self) -> str: ...
    @property
    def vocabulary(self) -> Vocabulary: ...

    def encode(self, data: bytes, source: str = "text") -> SymbolStream:
        """The document's stream, `eot` at its end. `source` is what errors call it."""
        ...

    def measure(self, data: bytes, source: str = "text") -> tuple[SymbolStream, bool]:
        """`encode(data)`, and whether its symbols stand for other bytes than `data` (a tokenizer that normalises)."""
        ...

    def decode(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes that symbols stand for. Raises ValueError for an id that is no symbol."""
        ...


class Coder:
    """What the encoders share."""

    def encode(self, data: bytes, source: str = "text") -> SymbolStream:
        return self.measure(data, source)[0]

    def measure(self, data: bytes, source: str = "text") -> tuple[SymbolStream, bool]:
        raise NotImplementedError

    def decode(self: "Encoder", ids: Iterable[int] | np.ndarray) -> bytes:
        return self.vocabulary.decode(ids)


@dataclasses.dataclass(frozen=True)
class SubwordEncoder(Coder):
    """Tokens of a tokenizer."""

    tokenizer: Tokenizer
    kind = "subword"
    boundary = NoBoundaries.name
    rule = NoBoundaries()

    @property
    def vocabulary(self) -> Vocabulary:
        return self.tokenizer.vocabulary

    def measure(self, data: bytes, source: str = "text") -> tuple[SymbolStream, bool]:
        encoding = self.tokenizer.encode(data)
        return flat_stream(encoding.ids, encoding.nbytes, self.vocabulary), encoding.lossy


@dataclasses.dataclass(frozen=True)
class ByteEncoder(Coder):
    """Plain bytes, each a unit."""

    alphabet: ByteAlphabet
    vocabulary: Vocabulary
    kind = "bytes"
    boundary = NoBoundaries.name
    rule = NoBoundaries()

    def measure(self, data: bytes, source: str = "text") -> tuple[SymbolStream, bool]:
        symbols = self.alphabet.encode(data, source)
        return flat_stream(symbols, np.ones(len(data), np.int32), self.vocabulary), False


@dataclasses.dataclass(frozen=True)
class ByteUnitEncoder(Coder):
    """Bytes that a splitter groups into units, or the model, where there is no splitter.

    Attributes:
      splitter: of bytes; None: the model finds the units (boundary rule `model`).
      boundary: name of the rule.
      slots: positions that open a unit, under `end_symbol`.
    """

    alphabet: ByteAlphabet
    vocabulary: Vocabulary
    splitter: Splitter | None
    boundary: str
    slots: int = 1
    kind = "byte_units"

    @property
    def rule(self) -> BoundaryRule:
        return RULES[self.boundary](self.alphabet, self.splitter, self.slots)

    def measure(self, data: bytes, source: str = "text") -> tuple[SymbolStream, bool]:
        symbols = self.alphabet.encode(data, source)
        return self.rule.stream(symbols, None if self.splitter is None else self.splitter.split(data)), False


def flat_stream(symbols: np.ndarray, nbytes: np.ndarray, vocabulary: Vocabulary) -> SymbolStream:
    """The stream of a document whose every symbol is a unit, `eot` behind them.

    Args:
      symbols: int32 `[n]`, without `eot`.
      nbytes: int32 `[n]`, raw bytes of each.
      vocabulary: of the symbols.
    """
    n = len(symbols) + 1
    return SymbolStream(
        symbols=np.append(symbols, np.int32(vocabulary.eot)),
        nbytes=np.append(nbytes, np.int32(0)),
        unit_ends=np.ones(n, bool),
        closed=np.arange(1, n + 1, dtype=np.int32),
        predicted=np.ones(n, bool),
        boundary="none",
        bos=vocabulary.bos,
    )


def make_encoder(text: Any, tokenizer: Tokenizer | None = None) -> Encoder:
    """The encoder that a config's `text` part describes; `tokenizer` where it needs one (see `make_tokenizer`).

    Raises:
      ValueError: an unknown kind, alphabet, splitter or boundary, named with what there is; parts that do not go
        together; or no tokenizer where one is needed.
    """
    found = _plain_encoder(text, tokenizer)
    chat = text.get("chat")
    if chat is None or not chat.template:
        return found
    from lexitok.data.chat_encoders import reading_chats  # which stands on this module

    return reading_chats(found, chat.template, chat.learnt)


def _plain_encoder(text: Any, tokenizer: Tokenizer | None) -> Encoder:
    _one_of("text.kind", text.kind, KINDS)
    if needs_tokenizer(text) and tokenizer is None:
        raise ValueError("text.kind 'subword' and text.splitter 'tokens' need a tokenizer; make_tokenizer makes one")
    if text.kind == "subword":
        assert tokenizer is not None
        return SubwordEncoder(tokenizer)
    alphabet = ALPHABETS[_one_of("text.alphabet", text.alphabet, ALPHABETS)]
    if text.kind == "bytes":
        return ByteEncoder(alphabet, byte_vocabulary(alphabet))
    boundary = _one_of("text.boundary", text.boundary, [name for name, rule in RULES.items() if rule.counted])
    rule = RULES[boundary]
    if rule.marks == "byte":
        alphabet = doubled(alphabet)
    if text.slots < 1 or (text.slots > 1 and not rule.opens_units):
        raise ValueError(f"text.slots is {text.slots}; it is 1 at least, and 1 but for text.boundary 'end_symbol'")
    splitter = _splitter(text, tokenizer)
    if splitter is None:
        boundary = FoundByModel.name
    return ByteUnitEncoder(alphabet, byte_vocabulary(alphabet), splitter, boundary, text.slots)


def needs_tokenizer(text: Any) -> bool:
    """Whether a config's `text` part asks for a tokenizer."""
    return text.kind == "subword" or (text.kind == "byte_units" and text.splitter == "tokens")


def unit_tokens(encoder: Encoder) -> tuple[bytes, ...]:
    """The tokens whose ends make an encoder's units; none where units are otherwise."""
    splitter = getattr(encoder, "splitter", None)
    return splitter.vocabulary.token_bytes if isinstance(splitter, TokenSplitter) else ()


def _splitter(text: Any, tokenizer: Tokenizer | None) -> Splitter | None:
    if text.splitter == "model":
        if text.boundary != Revealed.name:
            raise ValueError(f"text.splitter 'model' needs text.boundary 'revealed', not '{text.boundary}'")
        return None
    if text.splitter == "tokens":
        if RULES[text.boundary].marks == "nothing":
            raise ValueError(
                f"text.splitter 'tokens' looks ahead: it needs text.boundary 'fused' or 'end_symbol', which say where "
                f"units end, not '{text.boundary}'"
            )
        assert tokenizer is not None  # make_encoder has asked
        return TokenSplitter(tokenizer, text.max_unit_bytes)
    return make_splitter(text.splitter, max_unit_bytes=text.max_unit_bytes, stride=text.stride, digits=text.digits)


def make_tokenizer(vocabulary: Any, documents: Iterable[bytes]) -> Tokenizer:
    """Loads the tokenizer at `vocabulary.path`, or else trains one on the first `train_bytes` of `documents`.

    Raises:
      FileNotFoundError, ValueError: as `load_tokenizer` and `SentencePieceTokenizer.train` do.
    """
    if vocabulary.path:
        return load_tokenizer(vocabulary.path)
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
