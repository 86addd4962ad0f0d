"""Any tokenizer as a Hugging Face `tokenizer.json`, for the rest of the world.

Such a file has merges where SentencePiece has scores and tiktoken has ranks. A token's merges are all the cuts of it
into two tokens, those of better tokens first; so the library merges in the order that the model means, and where one
token can be made by several merges at once, the order among those is the library's own.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.token_bytes import SPACE, byte_level_spelling
from lexitok.text.tokenizer_json import BYTE_LEVEL, added_token, bpe, cut_then_bytes
from lexitok.text.vocabulary import Tokenizer, Vocabulary

_protobuf: Any = sentencepiece_model_pb2  # its classes exist at run time only
BOS = ("added", "none")


def tokenizer_json(tokenizer: Tokenizer, *, bos: str = "added") -> bytes:
    """A tokenizer as a `tokenizer.json` that gives the same tokens.

    Args:
      tokenizer: one that was read from a `tokenizer.json` gives that file, as it was.
      bos: `added`: the library puts `bos` before texts, as most models want it; or `none`. Of no matter for a file
        that is given as it was.

    Raises:
      ValueError: the tokenizer normalises in a way that is not written here, or is of an unknown class.
    """
    if bos not in BOS:
        raise ValueError(f"bos is {bos!r}; there are {', '.join(BOS)}")
    if isinstance(tokenizer, PaddedTokenizer):
        return tokenizer_json(tokenizer.tokenizer, bos=bos)
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return tokenizer.tokenizer_json
    if isinstance(tokenizer, SentencePieceTokenizer):
        content = _from_sentencepiece(_protobuf.ModelProto.FromString(tokenizer.to_bytes()), tokenizer.vocabulary)
    elif isinstance(tokenizer, TiktokenTokenizer):
        content = _from_ranks(tokenizer)
    else:
        raise ValueError(f"a {type(tokenizer).__name__} cannot be written as a tokenizer.json")
    start = _starting(tokenizer.vocabulary) if bos == "added" else None
    whole = {"version": "1.0", "truncation": None, "padding": None, **content, "post_processor": start}
    return json.dumps(whole, ensure_ascii=False).encode()


def _from_sentencepiece(proto: Any, vocabulary: Vocabulary) -> dict[str, Any]:
    trainer, normalizer, types = proto.trainer_spec, proto.normalizer_spec, proto.SentencePiece
    if normalizer.remove_extra_whitespaces or trainer.treat_whitespace_as_suffix or not normalizer.escape_whitespaces:
        raise ValueError("a SentencePiece model that drops white space, or puts it behind words, cannot be written")
    pieces = [(piece.piece, piece.score, piece.type) for piece in proto.pieces]
    user = [i for i, (_, _, of) in enumerate(pieces) if of == types.USER_DEFINED]
    if user and normalizer.add_dummy_prefix:  # the library would put the space before such pieces, too
        raise ValueError(
            "a SentencePiece model with both a space before texts and user-defined pieces cannot be written"
        )
    normal = {piece: i for i, (piece, _, of) in enumerate(pieces) if of == types.NORMAL}
    unknown = vocabulary.names.get(vocabulary.roles.get("unknown", -1))
    if trainer.model_type == trainer.BPE:
        order = sorted(normal, key=lambda piece: (-pieces[normal[piece]][1], normal[piece]))
        model = bpe({piece: i for i, (piece, _, _) in enumerate(pieces)}, _merges(order, normal))
        model.update(unk_token=unknown, fuse_unk=True, byte_fallback=trainer.byte_fallback)
    elif trainer.model_type == trainer.UNIGRAM:
        model = {"type": "Unigram", "unk_id": trainer.unk_id, "byte_fallback": trainer.byte_fallback}
        model["vocab"] = [[piece, score] for piece, score, _ in pieces]
    else:
        raise ValueError("a SentencePiece model of words or characters cannot be written")
    spaces: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    ends: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}]
    if normalizer.precompiled_charsmap:
        charsmap = base64.b64encode(normalizer.precompiled_charsmap).decode()
        spaces.insert(0, {"type": "Precompiled", "precompiled_charsmap": charsmap})
    if normalizer.add_dummy_prefix:
        spaces.insert(-1, {"type": "Prepend", "prepend": " "})
        ends.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    ends[1:1] = [{"type": "ByteFallback"}, {"type": "Fuse"}]
    return {
        "added_tokens": sorted(
            # What SentencePiece has by its users' wish is looked for where spaces are replaced already.
            [added_token(i, pieces[i][0], special=False, normalized=True) for i in user] + _specials(vocabulary),
            key=lambda token: token["id"],
        ),
        "normalizer": {"type": "Sequence", "normalizers": spaces},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": ends},
        "model": model,
    }


def _from_ranks(tokenizer: TiktokenTokenizer) -> dict[str, Any]:
    vocabulary = tokenizer.vocabulary
    ids = {byte_level_spelling(token): i for i, token in enumerate(vocabulary.token_bytes) if token}
    return {
        "added_tokens": _specials(vocabulary),
        "normalizer": None,
        "pre_tokenizer": cut_then_bytes([library_pattern(tokenizer.pattern)]),
        "decoder": BYTE_LEVEL,
        "model": bpe({**ids, **{name: i for i, name in vocabulary.names.items()}}, _merges(ids, ids), whole_words=True),
    }


def library_pattern(pattern: str) -> str:
    """A pattern of tiktoken's as the library `tokenizers` reads it, which takes $ for the end of a line."""
    return pattern.replace(r"\s++$", r"\s++\z")


def _merges(tokens: Iterable[str], ids: Mapping[str, int]) -> list[list[str]]:
    """The cuts of each of `tokens`, best first, into two tokens, those of low ids first."""
    merges = []
    for token in tokens:
        cuts = [(token[:at], token[at:]) for at in range(1, len(token))]
        there = [(ids[left], ids[right], left, right) for left, right in cuts if left in ids and right in ids]
        merges += [[left, right] for _, _, left, right in sorted(there)]
    return merges


def _specials(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    return [added_token(i, name, special=True) for i, name in sorted(vocabulary.names.items())]


def _starting(vocabulary: Vocabulary) -> dict[str, Any] | None:
    """Puts `bos` before a text, if the vocabulary has one of its own."""
    name = vocabulary.names.get(vocabulary.bos)
    if name is None or "bos" not in vocabulary.roles:
        return None
    bos = {"SpecialToken": {"id": name, "type_id": 0}}
    texts = [{"Sequence": {"id": which, "type_id": i}} for i, which in enumerate("AB")]
    return {
        "type": "TemplateProcessing",
        "single": [bos, texts[0]],
        "pair": [bos, texts[0], {"SpecialToken": {"id": name, "type_id": 1}}, texts[1]],
        "special_tokens": {name: {"id": name, "ids": [vocabulary.bos], "tokens": [name]}},
    }
