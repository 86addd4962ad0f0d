"""Tokens added without merges: as pieces of a Unigram vocabulary, or as tokens that are matched before all else."""

import json
from collections.abc import Sequence
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from lexitok.text.adding.formats import AddingError
from lexitok.text.adding.hugging_face import Reading, rewritten, with_ids_of_added
from lexitok.text.adding.sentencepiece import of_proto, without_prefix
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.token_bytes import SPACE, from_byte_token
from lexitok.text.tokenizer_json import added_token
from lexitok.text.vocabulary import Tokenizer

_protobuf: Any = sentencepiece_model_pb2  # its classes exist at run time only
_MARGIN = 0.01  # nats: more than sums of scores are off by in float32


def with_pieces(tokenizer: Tokenizer, tokens: Sequence[str]) -> Tokenizer:
    """A Unigram tokenizer with further pieces.

    The score of a piece is a hair above the sum of those of its parts, so it stands wherever they would; and not below
    the lowest score that there is, which sets that of unknown characters: texts without new pieces are cut as before.
    A character that is spelled in bytes counts as the lowest does.

    Args:
      tokenizer: of the model Unigram; it is left as it is.
      tokens: what the pieces stand for.

    Raises:
      AddingError: a token lies across words, or has characters that are unknown.
    """
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return _in_json(tokenizer, tokens)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    proto = _protobuf.ModelProto.FromString(tokenizer.to_bytes())
    library, types = without_prefix(proto), proto.SentencePiece
    lowest = min(piece.score for piece in proto.pieces if piece.type == types.NORMAL)
    scores = [lowest if piece.type == types.BYTE else piece.score for piece in proto.pieces]
    for token in tokens:
        ids = library.encode(token)
        if tokenizer.vocabulary.decode(ids) != token.encode():
            raise AddingError(f"{token!r} has characters that are unknown, or are not written as they are")
        score = max(sum(scores[i] for i in ids) + _MARGIN, lowest)
        proto.pieces.add(piece=token.replace(" ", SPACE), score=score, type=types.NORMAL)
    return of_proto(proto)


def _in_json(tokenizer: HuggingFaceTokenizer, tokens: Sequence[str]) -> HuggingFaceTokenizer:
    reading, file = Reading(tokenizer.file), tokenizer.file
    content = json.loads(tokenizer.tokenizer_json)
    pieces = _with_added(content)
    lowest = min(score for _, score in pieces)
    of_bytes = {i for i, (piece, _) in enumerate(pieces) if from_byte_token(piece) is not None}
    for token in tokens:
        words = list(reading.words(token.encode()))
        if len(words) != 1:
            raise AddingError(f"{file.name}: {token!r} is {len(words)} words, {words}: no piece can reach across them")
        parts = reading.library.model.tokenize(words[0])
        if any(part.id == file.model.get("unk_id") for part in parts):
            raise AddingError(f"{file.name}: {token!r} has characters that are unknown")
        score = max(sum(lowest if part.id in of_bytes else pieces[part.id][1] for part in parts) + _MARGIN, lowest)
        pieces.append([words[0], score])
    return rewritten(tokenizer, content)


def matched_whole(tokenizer: Tokenizer, tokens: Sequence[str]) -> Tokenizer:
    """A tokenizer with tokens that are found in the text before words are cut, wherever they stand, within words too.

    They are added tokens of a `tokenizer.json` that are not special, and user-defined pieces of a SentencePiece model.

    Raises:
      AddingError: the format has no such tokens.
    """
    if isinstance(tokenizer, HuggingFaceTokenizer):
        content, size = json.loads(tokenizer.tokenizer_json), tokenizer.vocabulary.size
        content.setdefault("added_tokens", [])
        content["added_tokens"] += [added_token(size + i, token, special=False) for i, token in enumerate(tokens)]
        if content["model"].get("type") == "Unigram" or isinstance(content["model"]["vocab"], list):
            _with_added(content)
        else:
            with_ids_of_added(content)
        return rewritten(tokenizer, content)
    if isinstance(tokenizer, SentencePieceTokenizer):
        proto = _protobuf.ModelProto.FromString(tokenizer.to_bytes())
        for token in tokens:
            proto.pieces.add(piece=token.replace(" ", SPACE), type=proto.SentencePiece.USER_DEFINED, score=0.0)
        return of_proto(proto)
    raise AddingError(f"a {type(tokenizer).__name__} has no tokens that are matched before its pattern")


def _with_added(content: dict[str, Any]) -> list[list[Any]]:
    """Makes a Unigram file's added tokens pieces, too, and returns the pieces: new ones get the ids behind them."""
    pieces = content["model"]["vocab"]
    there, lowest = {piece for piece, _ in pieces}, min(score for _, score in pieces)
    for token in sorted(content.get("added_tokens") or [], key=lambda token: token["id"]):
        if token["content"] not in there:
            pieces.append([token["content"], lowest])  # the library finds it before it looks at pieces
    return pieces
