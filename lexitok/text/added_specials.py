"""A tokenizer with further specials behind its ids, in its own format."""

import json
from collections.abc import Sequence
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.tokenizer_json import added_token
from lexitok.text.vocabulary import TOKENIZER_FORMAT, Tokenizer

_protobuf: Any = sentencepiece_model_pb2  # its classes exist at run time only


def with_specials(tokenizer: Tokenizer, spellings: Sequence[str]) -> Tokenizer:
    """The tokenizer with specials of these spellings, with the ids behind its last; text is encoded as before.

    What the tokenizer's own specials are for stays so: a new one takes no role that another has.

    Raises:
      ValueError: one is there already, be it as a special or as text, one is empty or comes twice, or the tokenizer is
        of a class whose files are not known here; names it.
    """
    new = list(spellings)
    if not new:
        return tokenizer
    if isinstance(tokenizer, PaddedTokenizer):
        inner = with_specials(tokenizer.tokenizer, new)
        size = max(tokenizer.vocabulary.size, inner.vocabulary.size)
        return inner if size == inner.vocabulary.size else PaddedTokenizer(inner, size)
    for number, spelling in enumerate(new):
        if not spelling or spelling in new[:number] or spelling in tokenizer.vocabulary.names.values():
            raise ValueError(f"the special {spelling!r} cannot be added: it is empty, or there already")
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return _hugging_face(tokenizer, new)
    if isinstance(tokenizer, SentencePieceTokenizer):
        return _sentencepiece(tokenizer, new)
    if isinstance(tokenizer, TiktokenTokenizer):
        content = json.loads(tokenizer.to_bytes())
        first = tokenizer.vocabulary.size
        content["specials"] |= {spelling: first + i for i, spelling in enumerate(new)}
        return TiktokenTokenizer.from_bytes(json.dumps(content).encode())
    raise ValueError(f"specials cannot be added to a {type(tokenizer).__name__}")


def _hugging_face(tokenizer: HuggingFaceTokenizer, new: list[str]) -> HuggingFaceTokenizer:
    kept, vocabulary = json.loads(tokenizer.to_bytes()), tokenizer.vocabulary
    assert kept["format"] == TOKENIZER_FORMAT
    content = json.loads(tokenizer.tokenizer_json)
    model = content["model"]["vocab"]
    there = {piece for piece, _ in model} if isinstance(model, list) else set(model)
    there |= {token["content"] for token in content.get("added_tokens") or []}
    _refuse_text(new, there)
    added = [added_token(vocabulary.size + i, spelling, special=True) for i, spelling in enumerate(new)]
    content["added_tokens"] = [*(content.get("added_tokens") or []), *added]
    data = json.dumps(content, ensure_ascii=False).encode()
    return HuggingFaceTokenizer(data, roles={**vocabulary.roles, **kept["roles"]})


def _sentencepiece(tokenizer: SentencePieceTokenizer, new: list[str]) -> SentencePieceTokenizer:
    proto = _protobuf.ModelProto.FromString(tokenizer.to_bytes())
    _refuse_text(new, {piece.piece for piece in proto.pieces})
    for spelling in new:
        proto.pieces.add(piece=spelling, score=0.0, type=_protobuf.ModelProto.SentencePiece.CONTROL)
    return SentencePieceTokenizer(proto.SerializeToString())


def _refuse_text(new: list[str], there: set[str]) -> None:
    if taken := there.intersection(new):
        raise ValueError(f"the special {min(taken)!r} cannot be added: the tokenizer has it as text")
