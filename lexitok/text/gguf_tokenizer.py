"""The tokenizer inside a GGUF file, rebuilt in the form that it had before: a SentencePiece model, or a
`tokenizer.json`.

The keys are those of ggml's documentation (docs/gguf.md); what is not written in them (the pre-tokenizer behind a name)
is in `lexitok.text.patterns`.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from lexitok.text.gguf_header import GgufError, read_gguf_header
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.patterns import GGUF_PRE
from lexitok.text.roles import ALL_SPELLINGS
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.token_bytes import SPACE, from_byte_token
from lexitok.text.tokenizer_json import BYTE_LEVEL, added_token, bpe, cut_then_bytes
from lexitok.text.vocabulary import Tokenizer

_protobuf: Any = sentencepiece_model_pb2  # its classes exist at run time only
_KEY = "tokenizer.ggml."
_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)  # token types: SentencePiece's own numbers
_ROLES = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "pad": "padding_token_id",
    "unknown": "unknown_token_id",
    "separate": "seperator_token_id",  # as it is spelled there
    "mask": "mask_token_id",
    "turn_end": "eot_token_id",
}


def load_gguf_tokenizer(path: str | pathlib.Path) -> Tokenizer:
    """The tokenizer of a GGUF file.

    Raises:
      FileNotFoundError: there is no such file.
      GgufError: it is damaged, or its tokenizer is of a kind or with a pre-tokenizer that is not known here.
    """
    return gguf_tokenizer(read_gguf_header(path), str(path))


def gguf_tokenizer(header: Mapping[str, Any], name: str = "GGUF") -> Tokenizer:
    """As `load_gguf_tokenizer`, from metadata that is read already (see `gguf_header.read_gguf_header`)."""
    kind = header.get(f"{_KEY}model")
    if kind not in _KINDS:
        raise GgufError(f"{name}: its tokenizer is of the kind {kind!r}; there are {', '.join(_KINDS)}")
    tokens = header.get(f"{_KEY}tokens")
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise GgufError(f"{name}: {_KEY}tokens is not a list of strings")
    for part in ("scores", "token_type"):
        if len(header.get(f"{_KEY}{part}", tokens)) != len(tokens):
            raise GgufError(f"{name}: {len(tokens)} tokens, but {len(header[_KEY + part])} {_KEY}{part}")
    roles = {role: header[_KEY + key] for role, key in _ROLES.items() if _KEY + key in header}
    for role, i in roles.items():
        if not 0 <= i < len(tokens):
            raise GgufError(f"{name}: {_KEY}{_ROLES[role]} is {i}, and there are {len(tokens)} tokens")
    try:
        return _KINDS[kind](header, tokens, roles, name)
    except GgufError:
        raise
    except (ValueError, TypeError) as error:
        raise GgufError(f"{name}: its tokenizer cannot be rebuilt: {error}") from error


def _sentencepiece(header: Mapping[str, Any], tokens: list[str], roles: dict[str, int], name: str) -> Tokenizer:
    unigram = header[f"{_KEY}model"] == "t5"
    types = _types(header, tokens)
    scores = header.get(f"{_KEY}scores")
    if scores is None or types is None:
        raise GgufError(f"{name}: a SentencePiece vocabulary needs {_KEY}scores and {_KEY}token_type")
    proto = _protobuf.ModelProto()
    for i, (piece, score, of_type) in enumerate(zip(tokens, scores.tolist(), types, strict=True)):
        if i == roles.get("unknown"):
            of_type = _UNKNOWN
        elif i in roles.values() or (of_type == _USER and piece in ALL_SPELLINGS):
            of_type = _CONTROL
        elif of_type == _USER:
            piece = piece.replace(" ", SPACE)  # as it was before llama.cpp's conversion
        proto.pieces.add(piece=piece, score=score, type=of_type)
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    trainer.model_type = trainer.UNIGRAM if unigram else trainer.BPE
    trainer.vocab_size, trainer.byte_fallback = len(tokens), any(from_byte_token(token) for token in tokens)
    for role, prefix in (("unknown", "unk"), ("bos", "bos"), ("eos", "eos"), ("pad", "pad")):
        setattr(trainer, f"{prefix}_id", roles.get(role, -1))
        if role in roles:
            setattr(trainer, f"{prefix}_piece", tokens[roles[role]])
    normalizer.add_dummy_prefix = bool(header.get(f"{_KEY}add_space_prefix", True))
    normalizer.remove_extra_whitespaces = bool(header.get(f"{_KEY}remove_extra_whitespaces", False))
    charsmap = header.get(f"{_KEY}precompiled_charsmap")
    if charsmap is not None:
        normalizer.precompiled_charsmap = charsmap.tobytes()
    return SentencePieceTokenizer(proto.SerializeToString(), name)


def _byte_level(header: Mapping[str, Any], tokens: list[str], roles: dict[str, int], name: str) -> Tokenizer:
    pre, merges = header.get(f"{_KEY}pre"), header.get(f"{_KEY}merges")
    if pre not in GGUF_PRE:
        raise GgufError(f"{name}: {_KEY}pre is {pre!r}; the pre-tokenizers known are {', '.join(sorted(GGUF_PRE))}")
    if not isinstance(merges, list):
        raise GgufError(f"{name}: a byte-level vocabulary needs {_KEY}merges")
    types = _types(header, tokens) or [_NORMAL] * len(tokens)
    how = GGUF_PRE[pre]
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            added_token(i, token, special=types[i] != _USER or i in roles.values() or token in ALL_SPELLINGS)
            for i, token in enumerate(tokens)
            if types[i] in (_CONTROL, _UNKNOWN, _USER, _UNUSED) or i in roles.values()
        ],
        "normalizer": {"type": how.normal_form} if how.normal_form else None,
        "pre_tokenizer": cut_then_bytes(how.patterns),
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": bpe(
            {token: i for i, token in enumerate(tokens)},
            [merge.split(" ", 1) for merge in merges],
            whole_words=how.whole_words,
        ),
    }
    return HuggingFaceTokenizer(json.dumps(content, ensure_ascii=False).encode(), roles=roles, name=name)


def _types(header: Mapping[str, Any], tokens: list[str]) -> list[int] | None:
    types = header.get(f"{_KEY}token_type")
    if types is None:
        return None
    unknown = [(i, kind) for i, kind in enumerate(types.tolist()) if not _NORMAL <= kind <= _BYTE]
    if unknown:
        raise GgufError(f"the token {tokens[unknown[0][0]]!r} is of type {unknown[0][1]}; there are 1 to 6")
    return types.tolist()


_KINDS = {"llama": _sentencepiece, "t5": _sentencepiece, "gpt2": _byte_level}
