"""SentencePiece (BPE and Unigram) as a tokenizer of bytes: trained here without loss, or loaded as it is.

SentencePiece writes spaces as U+2581 and reads text, not bytes. What it cannot tell apart or hold (bytes that are not
UTF-8, a literal U+2581, NUL) goes around it, to the byte tokens of byte fallback, so that a model trained here is exact
for any bytes. A loaded model that puts a space before its text does so once, and is exact but for that. One that
normalises its text is used as it is, and each text that it changed is flagged.
"""

import io
import itertools
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from lexitok.text.chunks import LONGEST_CHUNK, random_chunks
from lexitok.text.piece_words import finest_words
from lexitok.text.roles import with_roles
from lexitok.text.shares import prefixed, shares
from lexitok.text.token_bytes import from_byte_token, from_sentencepiece
from lexitok.text.vocabulary import Encoding, Vocabulary

_protobuf: Any = sentencepiece_model_pb2  # its classes exist at run time only
KINDS = ("bpe", "unigram", "supertoken_bpe", "supertoken_unigram")
_SUPERTOKEN = "supertoken_"  # with pieces that reach over the ends of words

_AROUND = re.compile("([\udc80-\udcff\u2581\0]+)")  # undecodable bytes come as U+DC80 to U+DCFF (surrogateescape)
_RESERVED = re.compile("[\u2581\u2585\0]+")
_LINES = re.compile("[^\n]{,1000}\n+|[^\n]{1,1000}")
_REMEMBERED_WORDS = 200_000
_REMEMBERED_CHARACTERS = 100  # of a word; text without spaces is one long word that does not come back


class SentencePieceTokenizer:
    """A SentencePiece model with the exact bytes of every id. Make it by `train`, `load` or `from_bytes`."""

    def __init__(self, model: bytes, name: str = "SentencePiece model"):
        """Args: the serialised `ModelProto`, and what errors call it.

        Raises:
          ValueError: `model` is no SentencePiece model.
        """
        self._model = model
        self._processor, proto = _parse(model, name)
        self.vocabulary = _vocabulary(self._processor, proto)
        ids = [self._processor.piece_to_id(f"<0x{value:02X}>") for value in range(256)]
        has_bytes = all(self._processor.is_byte(i) for i in ids)
        self._byte_ids = np.array(ids, np.int32) if has_bytes else None
        # A space before the text is put there here, so that parts of a text can be encoded without.
        self._prefix = " " if has_bytes and _only_prefixes(proto) else ""
        if self._prefix:
            proto.normalizer_spec.add_dummy_prefix = False
        self._plain = _processor(proto) if self._prefix else self._processor
        self._word = _word_pattern(proto)
        self._words = _Words(self._plain)

    def __reduce__(self):
        return SentencePieceTokenizer, (self._model,)

    @classmethod
    def load(cls, path: str | pathlib.Path) -> "SentencePieceTokenizer":
        """Loads a `.model` file.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: it is no SentencePiece model.
        """
        path = pathlib.Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"no SentencePiece model at {path}")
        return cls(path.read_bytes(), str(path))

    @classmethod
    def train(cls, documents: Iterable[bytes], *, kind: str, size: int) -> "SentencePieceTokenizer":
        """Trains a vocabulary that is exact for any bytes: byte fallback, no normalisation, all whitespace kept.

        Args:
          documents: the text; what is not UTF-8 in it is left out of the training.
          kind: `bpe` or `unigram`; with `supertoken_` before it, pieces may span several words (see
            `lexitok.text.chunks`).
          size: ids, the 256 bytes and 4 specials included.

        Raises:
          ValueError: an unknown kind; or a size that the text cannot fill or that cannot hold its characters.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind of vocabulary {kind!r}; there are {', '.join(KINDS)}")
        out = io.BytesIO()
        sentences = _sentences(documents)
        spanning: dict[str, Any] = {}
        if kind.startswith(_SUPERTOKEN):
            sentences = random_chunks(sentences)
            spanning = {"split_by_whitespace": False, "max_sentencepiece_length": LONGEST_CHUNK}
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=sentences,
                model_writer=out,
                model_type=kind.removeprefix(_SUPERTOKEN),
                vocab_size=size,
                byte_fallback=True,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=True,
                max_sentence_length=1 << 20,
                unk_id=0,
                bos_id=1,
                eos_id=2,
                pad_id=3,
                num_threads=1,  # Unigram adds up floats by thread
                minloglevel=2,
                **spanning,
            )
        except RuntimeError as error:
            raise ValueError(f"cannot train a {kind} vocabulary of {size} on this text: {error}") from error
        return cls(out.getvalue())

    @classmethod
    def from_bytes(cls, data: bytes) -> "SentencePieceTokenizer":
        """Reads what `to_bytes` wrote. Raises ValueError for anything else."""
        return cls(data)

    def to_bytes(self) -> bytes:
        """The serialised `ModelProto`: what a `.model` file holds."""
        return self._model

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes, without `bos` and `eot`; `nbytes` adds up to `len(data)` for every model."""
        text = data.decode("utf-8", "surrogateescape")
        text = self._prefix + text if text else text
        plain = self._byte_ids is None or (data.isascii() and b"\0" not in data)
        parts = [text] if plain else _AROUND.split(text)
        ids = np.concatenate([self._around(part) if odd % 2 else self._ids(part) for odd, part in enumerate(parts)])
        if self.vocabulary.decode(ids) == data:
            return Encoding(ids, self.vocabulary.lengths[ids], lossy=False)
        if self._prefix and self.vocabulary.decode(ids) == self._prefix.encode() + data:
            return Encoding(ids, prefixed(self.vocabulary.lengths[ids]), lossy=True)
        return self._lossy(data)

    def library_ids(self, text: str) -> list[int]:
        """The tokens that SentencePiece gives by itself."""
        return self._processor.encode(text)

    def batch_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See `lexitok.text.vocabulary.BatchTokenizer`."""
        return self._plain.encode([self._prefix + text if text else text for text in texts])

    def decode(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes of `ids`. Raises ValueError for an id that is not in the vocabulary."""
        return self.vocabulary.decode(ids)

    def _around(self, text: str) -> np.ndarray:
        assert self._byte_ids is not None
        return self._byte_ids[np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)]

    def _ids(self, text: str) -> np.ndarray:
        if self._word is None:
            return self._plain.encode(text.encode("utf-8", "surrogateescape"), out_type="numpy")
        if len(self._words) > _REMEMBERED_WORDS:
            self._words.clear()
        ids = itertools.chain.from_iterable(map(self._words.__getitem__, self._word.findall(text)))
        return np.fromiter(ids, np.int32)

    def _lossy(self, data: bytes) -> Encoding:
        pieces = self._processor.encode(data, out_type="proto").pieces
        if not pieces:  # the model dropped all there was: one unknown token stands for it
            ids = [self._processor.unk_id()] if data else []
            return Encoding(np.array(ids, np.int32), np.array([len(data)][: len(ids)], np.int32), lossy=bool(data))
        ids = np.array([piece.id for piece in pieces], np.int32)
        begins = np.array([piece.begin for piece in pieces], np.int64)
        return Encoding(ids, shares(begins, self.vocabulary.lengths[ids], len(data)), lossy=True)


class _Words(dict[str, list[int]]):
    """The ids of words, remembered."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor):
        super().__init__()
        self._processor = processor

    def __missing__(self, word: str) -> list[int]:
        ids = self._processor.encode(word)
        if len(word) <= _REMEMBERED_CHARACTERS:
            self[word] = ids
        return ids


def _parse(model: bytes, name: str) -> tuple[sentencepiece.SentencePieceProcessor, Any]:
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        proto = _protobuf.ModelProto.FromString(model)
    except Exception as error:  # protobuf and SentencePiece have errors of their own
        raise ValueError(f"{name}: not a SentencePiece model ({len(model)} bytes): {error}") from error
    if not proto.pieces:
        raise ValueError(f"{name}: not a SentencePiece model: {len(model)} bytes that hold no pieces")
    return processor, proto


def _only_prefixes(proto: Any) -> bool:
    """Whether all that a model does to its text is to put a space before it."""
    normalizer = proto.normalizer_spec
    changes = normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces
    before = normalizer.add_dummy_prefix and not proto.trainer_spec.treat_whitespace_as_suffix
    return before and normalizer.escape_whitespaces and not changes


def _processor(proto: Any) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def _vocabulary(processor: sentencepiece.SentencePieceProcessor, proto: Any) -> Vocabulary:
    pieces = [(piece.piece, piece.type) for piece in proto.pieces]
    text = (proto.SentencePiece.NORMAL, proto.SentencePiece.USER_DEFINED)
    byte = proto.SentencePiece.BYTE
    tokens = [
        from_sentencepiece(piece) if of in text else (from_byte_token(piece) or b"") if of == byte else b""
        for piece, of in pieces
    ]
    said = {
        "bos": processor.bos_id(),
        "eos": processor.eos_id(),
        "pad": processor.pad_id(),
        "unknown": processor.unk_id(),
    }
    names = {i: piece for i, (piece, _) in enumerate(pieces) if not tokens[i]}
    return with_roles(tokens, names, names, {role: i for role, i in said.items() if i >= 0})


def _word_pattern(proto: Any) -> re.Pattern[str] | None:
    """The cut into words that can be encoded on their own and remembered.

    For BPE only: its merges are local. Unigram is fast enough as it is, and rounds differently on parts.
    """
    normalizer = proto.normalizer_spec
    changes = normalizer.precompiled_charsmap or normalizer.add_dummy_prefix or normalizer.remove_extra_whitespaces
    if changes or proto.trainer_spec.model_type != _protobuf.TrainerSpec.BPE:
        return None
    return finest_words(piece.piece for piece in proto.pieces if piece.type in (piece.NORMAL, piece.USER_DEFINED))


def _sentences(documents: Iterable[bytes]) -> Iterator[str]:
    """Lines, with the newlines at their end. SentencePiece skips what is too long or holds its reserved characters."""
    for document in documents:
        text = document.decode("utf-8", "ignore")
        for part in _RESERVED.split(text):
            yield from _LINES.findall(part)
