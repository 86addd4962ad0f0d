"""BPE in a SentencePiece model as merges."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from lexitok.text.adding.bpe import AnyPair
from lexitok.text.adding.continued import NewToken
from lexitok.text.adding.formats import AddingError, Characters
from lexitok.text.adding.piece_kinds import PieceKinds
from lexitok.text.piece_words import WordCut
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.token_bytes import SPACE, from_byte_token, from_sentencepiece

_protobuf: Any = sentencepiece_model_pb2  # its classes exist at run time only
_AROUND = re.compile("[\udc80-\udcff\u2581\0]+")


class SentencePieceBpe:
    """As `BpeFormat`. Two neighbours merge whose text together is a piece, that of the highest score first."""

    def __init__(self, tokenizer: SentencePieceTokenizer):
        """Args: the tokenizer, which is left as it is.

        Raises:
          AddingError: the model normalises its text; its pieces reach across all words.
        """
        self._proto = _protobuf.ModelProto.FromString(tokenizer.to_bytes())
        normalizer = self._proto.normalizer_spec
        if normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces:
            raise AddingError("a SentencePiece model that normalises its text, or drops spaces, is not continued here")
        types = self._proto.SentencePiece
        pieces = [(i, piece.piece, piece.score, piece.type) for i, piece in enumerate(self._proto.pieces)]
        self.spellings: dict[int, str] = {i: piece for i, piece, _, of in pieces if of == types.NORMAL}
        ranks = {i: -score for i, piece, score, of in pieces if of == types.NORMAL and len(piece) > 1}
        self.rules = AnyPair({piece: i for i, piece in self.spellings.items()}, ranks)
        self._others = {piece for _, piece, _, of in pieces if of != types.NORMAL}
        texts = [*self.spellings.values(), *(piece for _, piece, _, of in pieces if of == types.USER_DEFINED)]
        try:
            self._kinds, self._cut = PieceKinds(self.spellings.values()), WordCut(texts)
        except ValueError as error:
            raise AddingError(f"the SentencePiece model has no words that BPE could go on in: {error}") from None
        byte_of = {i: (from_byte_token(piece) or b"")[0] for i, piece, _, of in pieces if of == types.BYTE}
        self._characters = Characters(byte_of, self.spellings, str)
        self._library = without_prefix(self._proto)

    def words(self, data: bytes) -> Counter[str]:
        """As of `BpeFormat`."""
        found: Counter[str] = Counter()
        for text in _AROUND.split(data.decode("utf-8", "surrogateescape")):
            found.update(self._cut.words(text))
        return Counter({word.replace(" ", SPACE): count for word, count in found.items()})

    def segment(self, word: str) -> list[int]:
        """As of `BpeFormat`."""
        return self._characters.collapsed(self._library.encode(word))

    def characters(self, token: int) -> list[int]:
        """As of `BpeFormat`."""
        return [self.rules.ids.get(character, -1) for character in self.spellings[token]]

    def spelled(self, token: bytes) -> str:
        """As of `BpeFormat`."""
        return token.decode().replace(" ", SPACE)

    def bytes_of(self, spelling: str) -> bytes:
        """As of `BpeFormat`."""
        return from_sentencepiece(spelling)

    def allowed(self, spelling: str) -> bool:
        """As of `BpeFormat`: what SentencePiece would make."""
        return spelling not in self._others and self._kinds.allows(spelling)

    def written(self, tokens: Sequence[NewToken], pruned: Collection[int]) -> SentencePieceTokenizer:
        """As of `BpeFormat`. What is pruned and not reused becomes a control piece, which no text is."""
        proto = _protobuf.ModelProto()
        proto.CopyFrom(self._proto)
        types = proto.SentencePiece
        scores = [piece.score for piece in self._proto.pieces if piece.type == types.NORMAL and len(piece.piece) > 1]
        score = min(scores, default=0.0)
        for i in pruned:
            proto.pieces[i].piece, proto.pieces[i].type, proto.pieces[i].score = f"<pruned_{i}>", types.CONTROL, 0.0
        for token in tokens:
            score = _next_lower(score)
            piece = proto.pieces[token.id] if token.id < len(proto.pieces) else proto.pieces.add()
            piece.piece, piece.type, piece.score = token.spelling, types.NORMAL, score
        return of_proto(proto)


def _next_lower(score: float) -> float:
    """A lower score, in float32, which has no room for steps of 1 at -1e9 (where Mistral's runs of spaces are)."""
    exact = np.float32(score)
    return float(min(np.nextafter(exact, np.float32(-np.inf)), np.float32(np.floor(exact) - 1)))


def model_type(tokenizer: SentencePieceTokenizer) -> str:
    """`BPE`, `UNIGRAM`, `WORD` or `CHAR`."""
    trainer = _protobuf.ModelProto.FromString(tokenizer.to_bytes()).trainer_spec
    return _protobuf.TrainerSpec.ModelType.Name(trainer.model_type)


def normalised(tokenizer: SentencePieceTokenizer, text: str) -> str:
    """What a model's normaliser makes of a text, with spaces as spaces, and without the one before it."""
    proto = _protobuf.ModelProto.FromString(tokenizer.to_bytes())
    return without_prefix(proto).normalize(text).replace(SPACE, " ")


def without_prefix(proto: Any) -> sentencepiece.SentencePieceProcessor:
    """The library's tokenizer of a model, told to put no space before a text, and to drop none."""
    plain = _protobuf.ModelProto()
    plain.CopyFrom(proto)
    plain.normalizer_spec.add_dummy_prefix = plain.normalizer_spec.remove_extra_whitespaces = False
    return sentencepiece.SentencePieceProcessor(model_proto=plain.SerializeToString())


def of_proto(proto: Any) -> SentencePieceTokenizer:
    """The tokenizer of a model whose pieces have changed."""
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return SentencePieceTokenizer(proto.SerializeToString())
