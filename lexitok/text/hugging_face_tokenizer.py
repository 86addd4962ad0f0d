"""A Hugging Face `tokenizer.json` as a tokenizer of bytes; the library `tokenizers` does the encoding.

What is spelled like a special is text. Bytes that are not UTF-8, and a literal of the character that a vocabulary
writes for spaces, go around the library to the tokens of single bytes, where there are such; so a vocabulary that has
all of them, and no normaliser, is exact for any bytes. Each text that comes out changed is flagged.
"""

import base64
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers

from lexitok.text.hugging_face_json import TokenizerJson
from lexitok.text.roles import with_roles
from lexitok.text.shares import byte_starts, prefixed, shares
from lexitok.text.token_bytes import missing_bytes, single_bytes
from lexitok.text.vocabulary import TOKENIZER_FORMAT, Encoding, Vocabulary

KIND = "hugging_face"
_INVALID = "\udc80-\udcff"  # what `surrogateescape` makes of bytes that are not UTF-8


class HuggingFaceTokenizer:
    """A `tokenizer.json` with the exact bytes of every id.

    Attributes:
      vocabulary: its ids; a hole among them is a special without a name.
      file: what the file says.
    """

    def __init__(self, data: bytes, *, roles: Mapping[str, str | int] | None = None, name: str = "tokenizer.json"):
        """Reads a file.

        Args:
          data: what it holds.
          roles: role → spelling or id, where files beside it say so (see `lexitok.text.roles`). An added
            token that is given by its spelling becomes a special, if it is none in the file.
          name: what errors call it.

        Raises:
          ValueError: `data` is no `tokenizer.json`, or a role is given to what is not in it, or to the id of text.
        """
        self._data, self._roles = data, dict(roles or {})
        spellings = [spelling for spelling in self._roles.values() if isinstance(spelling, str)]
        self.file = TokenizerJson.parse(data, name, spellings)
        self._first = _build(name, self.file.for_raw_text("kept"))
        self.vocabulary = _vocabulary(self.file, self._first, self._roles)
        ids = single_bytes(self.vocabulary)
        self._byte_ids = np.array([ids[byte][-1] if ids[byte] else -1 for byte in range(256)], np.int32)
        space = self.file.space
        literal = re.escape(space) if space and not missing_bytes(self.vocabulary) else ""
        self._around = re.compile(f"([{_INVALID}{literal}]+)")
        self._prefix = b" " if self.file.adds_prefix() else b""

    def __reduce__(self):
        return functools.partial(HuggingFaceTokenizer, roles=self._roles), (self._data,)

    @property
    def tokenizer_json(self) -> bytes:
        """The file that it was made from."""
        return self._data

    @property
    def roles(self) -> Mapping[str, str | int]:
        """Role → spelling or id, as they were given with the file."""
        return self._roles

    def to_bytes(self) -> bytes:
        """The file, and the roles that were given with it; `from_bytes` reads it."""
        content = {
            "format": TOKENIZER_FORMAT,
            "kind": KIND,
            "roles": self._roles,
            "file": base64.b64encode(self._data).decode(),
        }
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "HuggingFaceTokenizer":
        """Reads what `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            content = json.loads(data)
            if (content["format"], content["kind"]) != (TOKENIZER_FORMAT, KIND):
                raise ValueError(f"it is of the format {content['format']!r} and the kind {content['kind']!r}")
            file, roles = base64.b64decode(content["file"], validate=True), dict(content["roles"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a tokenizer of the kind {KIND!r}: {error}") from error
        return cls(file, roles=roles)

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes, without `bos` and `eot`; `nbytes` adds up to `len(data)` for every tokenizer."""
        parts = [data.decode()] if data.isascii() else self._around.split(data.decode("utf-8", "surrogateescape"))
        found = [self._bytes(part)[0] if odd % 2 else self._library(odd, part).ids for odd, part in enumerate(parts)]
        ids = np.concatenate([np.array(some, np.int32) for some in found])
        lengths, text = self.vocabulary.lengths[ids], self.vocabulary.decode(ids)
        if text == data:
            return Encoding(ids, lengths, lossy=False)
        if self._prefix and text == self._prefix + data:
            return Encoding(ids, prefixed(lengths), lossy=True)
        return self._lossy(parts, len(data))

    def library_ids(self, text: str) -> list[int]:
        """The tokens that the library gives by itself, told to take specials for text, and to add none."""
        return self._untouched.encode(text, add_special_tokens=False).ids

    def batch_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See `lexitok.text.vocabulary.BatchTokenizer`."""
        found = self._first.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    @functools.cached_property
    def _untouched(self) -> tokenizers.Tokenizer:
        return _build(self.file.name, json.loads(self._data))

    def _lossy(self, parts: list[str], total: int) -> Encoding:
        ids, begins, at = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)], 0
        for odd, part in enumerate(parts):
            starts = byte_starts(part)
            if odd % 2:
                some, where = self._bytes(part)
            else:
                encoding = self._library(odd, part)
                some, where = encoding.ids, starts[[begin for begin, _ in encoding.offsets]] if encoding.ids else []
            ids.append(np.array(some, np.int32))
            begins.append(at + np.array(where, np.int64))
            at += int(starts[-1])
        joined = np.concatenate(ids)
        if not len(joined):  # nothing is left of the text: one token stands for it
            joined = np.array([self.vocabulary.roles.get("unknown", self.vocabulary.eot)], np.int32)
            return Encoding(joined, np.array([total], np.int32), lossy=True)
        return Encoding(joined, shares(np.concatenate(begins), self.vocabulary.lengths[joined], total), lossy=True)

    def _library(self, place: int, part: str) -> tokenizers.Encoding:
        return (self._first if place == 0 else self._inner).encode(part, add_special_tokens=False)

    @functools.cached_property
    def _inner(self) -> tokenizers.Tokenizer:
        """For parts within a text, which have no space put before them."""
        return _build(self.file.name, self.file.for_raw_text("none")) if self._prefix else self._first

    def _bytes(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """The tokens of a part's bytes, one by one, and where they begin in it."""
        ids = self._byte_ids[np.frombuffer(part.encode("utf-8", "surrogateescape"), np.uint8)]
        unknown = self.vocabulary.roles.get("unknown")
        where = np.flatnonzero(ids >= 0) if unknown is None else np.arange(len(ids))
        return np.where(ids < 0, -1 if unknown is None else unknown, ids)[where].astype(np.int32), where


def _build(name: str, content: dict[str, Any]) -> tokenizers.Tokenizer:
    try:
        built = tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"{name}: not a Hugging Face tokenizer: {error}") from error
    built.encode_special_tokens = True
    built.no_truncation()
    built.no_padding()
    return built


def _vocabulary(file: TokenizerJson, built: tokenizers.Tokenizer, said: Mapping[str, str | int]) -> Vocabulary:
    names, entries = file.renamed, built.get_vocab(with_added_tokens=True)
    added = {token["content"] for token in file.added}
    # An added token may be among the model's, too; it is spelled as those are if text leads to it by way of the model.
    in_model = {token for token in added if len(token) == 1 and built.model.token_to_id(token) is not None}
    added -= in_model | file.merged
    size = max(entries.values(), default=-1) + 1
    if size > 2 * len(entries) + 100_000:
        raise ValueError(f"{file.name}: its ids go up to {size - 1}, and there are {len(entries)} tokens")
    tokens: list[bytes | None] = [None] * size
    for token, i in entries.items():
        if tokens[i] is not None:
            raise ValueError(f"{file.name}: the id {i} is given to {token!r} and to another token")
        tokens[i] = file.bytes_of(token, "added" if token in added else "model")
    spelled = {entries[name]: spelling for spelling, name in names.items() if name in entries}
    specials = {i for i, token in enumerate(tokens) if not token} | set(spelled)
    exact = [b"" if i in specials else token or b"" for i, token in enumerate(tokens)]
    roles = {role: _id(spelled, which, role, file.name) for role, which in said.items()}
    if file.unknown is not None and names[file.unknown] in entries:
        roles["unknown"] = entries[names[file.unknown]]
    return with_roles(exact, specials, dict(sorted(spelled.items())), roles)


def _id(spelled: Mapping[int, str], which: str | int, role: str, name: str) -> int:
    for i, spelling in spelled.items():
        if which in (i, spelling):
            return i
    raise ValueError(f"{name}: the role {role!r} is given to {which!r}, which is no special of this tokenizer")
