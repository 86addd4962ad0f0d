"""Any tokenizer from its file, its directory, or the bytes that a checkpoint keeps; told apart by content."""

import base64
import json
import pathlib
import re
from typing import Any

from lexitok.text.gguf_header import MAGIC
from lexitok.text.gguf_tokenizer import load_gguf_tokenizer
from lexitok.text.hugging_face_json import TokenizerJson
from lexitok.text.hugging_face_tokenizer import KIND, HuggingFaceTokenizer
from lexitok.text.joint_tokenizer import KIND as JOINT
from lexitok.text.joint_tokenizer import JointTokenizer
from lexitok.text.merging.tokenizer import KIND as MERGED
from lexitok.text.merging.tokenizer import with_merges
from lexitok.text.padded_tokenizer import KIND as PADDED
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.rank_files import BYTES, byte_tokenizer, load_rank_file
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import KIND as TIKTOKEN
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.vocabulary import TOKENIZER_FORMAT, Tokenizer

KNOWN = (
    "a Hugging Face directory or its tokenizer.json, a SentencePiece model (tokenizer.model), a Tekken file "
    "(tekken.json), a rank file (NAME.tiktoken), a GGUF file, or `bytes`, which is no file: a token for each byte"
)
IN_DIRECTORY = ("tokenizer.json", "tekken.json", "tokenizer.model")  # the first that is there
_TOKEN_ROLES = {
    "bos_token": "bos",
    "eos_token": "eos",
    "pad_token": "pad",
    "unk_token": "unknown",
    "mask_token": "mask",
    "cls_token": "classify",
    "sep_token": "separate",
}
_RANK_LINE = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")


def load_tokenizer(path: str | pathlib.Path) -> Tokenizer:
    """The tokenizer in a file or directory, whatever kind it is of (`KNOWN`).

    In a directory, `tokenizer_config.json`, `special_tokens_map.json` and `generation_config.json` say what the
    specials of its `tokenizer.json` are for.

    Raises:
      FileNotFoundError: there is nothing at `path`, or no tokenizer in the directory.
      ValueError: a file of no known kind, or a damaged one; names it.
    """
    path = pathlib.Path(path).expanduser()
    if str(path) == BYTES and not path.exists():
        return byte_tokenizer()
    if path.is_dir():
        return _from_directory(path)
    if not path.is_file():
        raise FileNotFoundError(f"no tokenizer at {path}; it may be {KNOWN}")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return load_gguf_tokenizer(path)
    return _from_content(path.read_bytes(), str(path))


def tokenizer_from_bytes(data: bytes) -> Tokenizer:
    """The tokenizer that `data` holds: what the `to_bytes` of any tokenizer here wrote, or a tokenizer's file.

    Raises:
      ValueError: it is of no known kind, or damaged.
    """
    return _from_content(data, "tokenizer")


def _from_content(data: bytes, name: str) -> Tokenizer:
    if data[:1] == b"{":
        return _from_json(data, name)
    if _RANK_LINE.match(data):
        return load_rank_file(data, name)
    try:
        return SentencePieceTokenizer(data, name)
    except ValueError as error:
        raise ValueError(f"{name}: no tokenizer that is known here: it may be {KNOWN}. As the last: {error}") from error


def _from_json(data: bytes, name: str) -> Tokenizer:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: begins as JSON and is not: {error}") from error
    if content.get("format") == TOKENIZER_FORMAT:
        return _from_kept(content, data, name)
    if "model" in content:
        return HuggingFaceTokenizer(data, name=name)
    if "vocab" in content and "config" in content:
        return TiktokenTokenizer.from_tekken(data, name)
    raise ValueError(f"{name}: JSON with the keys {sorted(content)[:8]}, but no tokenizer: it may be {KNOWN}")


def _from_kept(content: dict[str, Any], data: bytes, name: str) -> Tokenizer:
    kind = content.get("kind")
    if kind == KIND:
        return HuggingFaceTokenizer.from_bytes(data)
    if kind == TIKTOKEN:
        return TiktokenTokenizer.from_bytes(data)
    if kind in (PADDED, MERGED, JOINT):
        try:
            if kind == JOINT:
                parts = {part: tokenizer_from_bytes(_decoded(inner)) for part, inner in content["parts"]}
                return JointTokenizer(parts, content["speaker"])
            inner = tokenizer_from_bytes(_decoded(content["tokenizer"]))
            return PaddedTokenizer(inner, int(content["size"])) if kind == PADDED else with_merges(inner, content)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{name}: a damaged tokenizer of the kind {kind!r}: {error!r}") from error
    raise ValueError(
        f"{name}: a tokenizer of the unknown kind {kind!r}; there are {KIND}, {TIKTOKEN}, {PADDED}, {MERGED}, {JOINT}"
    )


def _decoded(file: str) -> bytes:
    return base64.b64decode(file, validate=True)


def _from_directory(path: pathlib.Path) -> Tokenizer:
    there = [path / file for file in IN_DIRECTORY if (path / file).is_file()]
    if not there:
        raise FileNotFoundError(f"no tokenizer in {path}: none of {', '.join(IN_DIRECTORY)}")
    if there[0].name != "tokenizer.json":
        return load_tokenizer(there[0])
    data = there[0].read_bytes()
    return HuggingFaceTokenizer(data, roles=_roles(path, data), name=str(there[0]))


def _roles(path: pathlib.Path, data: bytes) -> dict[str, str]:
    """Role → spelling, as the files beside a `tokenizer.json` have it; the first of them that says it counts.

    What they name and the tokenizer does not have is passed over: such files are copied from model to model.
    """
    tokenizer, roles = TokenizerJson.parse(data, str(path / "tokenizer.json")), {}
    special = {token.get("id"): token["content"] for token in tokenizer.added if token.get("special")}
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        content = _read_json(path / file)
        for key, role in _TOKEN_ROLES.items():
            spelling = content.get(key)
            spelling = spelling.get("content") if isinstance(spelling, dict) else spelling
            if isinstance(spelling, str) and tokenizer.has(spelling):
                roles.setdefault(role, spelling)
    content = _read_json(path / "generation_config.json")
    for key, role in (("bos_token_id", "bos"), ("pad_token_id", "pad"), ("eos_token_id", "eos")):
        ids = content.get(key)
        for i in ids if isinstance(ids, list) else [ids]:
            if i in special:
                roles.setdefault(role, special[i])
    return roles


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds {type(content).__name__}, not an object")
    return content
