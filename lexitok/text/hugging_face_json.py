"""What a Hugging Face `tokenizer.json` says: the bytes of every id, its specials, and forms of it that read raw text.

In raw text, what is spelled like a special is text. The library takes it for the special: added tokens are cut out
before anything else, and Unigram has `<s>` among its pieces. So a tokenizer that is to read raw text gets a copy of the
file in which the specials have other names, which no text spells.
"""

import copy
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from lexitok.text.token_bytes import SPACE, from_byte_level, from_byte_token, from_sentencepiece

MODELS = ("BPE", "Unigram", "WordPiece", "WordLevel")


@dataclasses.dataclass(frozen=True)
class TokenizerJson:
    """A `tokenizer.json`.

    Attributes:
      content: the file.
      model: its `model`, one of `MODELS`.
      added: its added tokens.
      unknown: the spelling of the token for what the model has no token for; None where it has none.
      name: what errors call it.
      also: spellings of added tokens that are specials, whatever the file says of them.
    """

    content: dict[str, Any]
    model: dict[str, Any]
    added: list[dict[str, Any]]
    unknown: str | None
    name: str
    also: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, data: bytes, name: str = "tokenizer.json", also: Iterable[str] = ()) -> "TokenizerJson":
        """Reads the file.

        Raises:
          ValueError: it is no `tokenizer.json`, or of a model that is not known here; names it.
        """
        try:
            content = json.loads(data)
            model, added = content["model"], content.get("added_tokens") or []
            kind = model.get("type") or ("BPE" if "merges" in model else "Unigram" if "unk_id" in model else None)
            if kind not in MODELS:
                raise ValueError(f"its model is of type {kind!r}; there are {', '.join(MODELS)}")
            model["type"] = kind
            unknown = model.get("unk_token")
            if kind == "Unigram":
                vocabulary = [[str(piece), float(score)] for piece, score in model["vocab"]]
                unknown = None if model.get("unk_id") is None else vocabulary[model["unk_id"]][0]
            elif not all(isinstance(i, int) and i >= 0 for i in model["vocab"].values()):
                raise ValueError("its vocabulary has ids that are no numbers from 0 on")
            if not all(isinstance(token["content"], str) for token in added):
                raise ValueError("its added tokens are no strings")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ValueError(f"{name}: not a Hugging Face tokenizer ({len(data)} bytes): {error}") from error
        return cls(content, model, added, unknown, name, frozenset(also))

    @property
    def special_spellings(self) -> set[str]:
        """Of added tokens that are special, of the unknown token, and of what else is said to be special."""
        specials = {token["content"] for token in self.added if token.get("special")}
        unknown = {self.unknown} if self.unknown is not None else set()
        return specials | unknown | {spelling for spelling in self.also if self.has(spelling)}

    def has(self, spelling: str) -> bool:
        """Whether there is such an added token."""
        return any(token["content"] == spelling for token in self.added)

    @functools.cached_property
    def renamed(self) -> dict[str, str]:
        """The names that specials have in `for_raw_text`. One that merges lead to has to keep its own."""
        salt = hashlib.sha256(json.dumps(self.model["type"]).encode() + repr(self.added).encode()).hexdigest()
        merged = self.merged
        return {s: s if s in merged else f"\ufdd0{salt[:16]} {s}\ufdd1" for s in self.special_spellings}

    def for_raw_text(self, prefix: str = "kept") -> dict[str, Any]:
        """A copy that takes specials' spellings for text, adds no specials and cuts nothing off.

        Args:
          prefix: of the text, which many tokenizers put a space before: `kept`, or `none` to have it left out.
        """
        names, model, added = self.renamed, dict(self.model), [dict(token) for token in self.added]
        content = {**self.content, "model": model, "added_tokens": added}
        content.update(dict.fromkeys(("truncation", "padding", "post_processor")))
        if model["type"] == "Unigram":
            model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
        else:
            model["vocab"] = {names.get(token, token): i for token, i in model["vocab"].items()}
            if self.unknown is not None:
                model["unk_token"] = names[self.unknown]
        for token in added:
            token["content"] = names.get(token["content"], token["content"])
        if prefix == "none":
            content.update(copy.deepcopy({part: content.get(part) for part in ("normalizer", "pre_tokenizer")}))
            for part in _walk([content["normalizer"], content["pre_tokenizer"]]):
                _without_prefix(part)
        return content

    def adds_prefix(self) -> bool:
        """Whether a space is put before the text."""
        parts = list(_walk([self.content.get("normalizer"), self.content.get("pre_tokenizer")]))
        return any(_without_prefix(part) for part in copy.deepcopy(parts))

    @functools.cached_property
    def space(self) -> str | None:
        """The character that is written for spaces; None where they stay what they are."""
        for part in _walk([self.content.get("normalizer"), self.content.get("pre_tokenizer")]):
            if part.get("type") == "Metaspace":
                return part.get("replacement", SPACE)
            if part.get("type") == "Replace" and (part.get("pattern") or {}).get("String") == " ":
                return part.get("content") or None
        return None

    def bytes_of(self, token: str, kind: str = "model") -> bytes:
        """What a token stands for that is no special.

        Args:
          token: its spelling.
          kind: `model`, or `added`: added tokens are spelled as they are, but for the character for spaces.
        """
        found = from_byte_token(token)
        if found is not None and self.model.get("byte_fallback"):
            return found
        if self.byte_level:
            return token.encode() if kind == "added" else from_byte_level(token)
        if kind == "model":
            # A token that is nothing but the mark is the mark itself.
            token = token.removeprefix(self._continuing) or token
            token = token.removesuffix(self.model.get("end_of_word_suffix") or "") or token
        return token.encode() if self.space is None else from_sentencepiece(token, self.space)

    @functools.cached_property
    def merged(self) -> set[str]:
        """The added tokens, and the unknown token, that take part in merges or come of them.

        Raises:
          ValueError: a merge is no pair of tokens.
        """
        spellings, found = {token["content"] for token in self.added} | {self.unknown}, set()
        try:
            for merge in self.model.get("merges") or []:
                left, right = merge if isinstance(merge, list) else merge.split(" ", 1)
                found |= spellings.intersection((left, right, left + right))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.name}: one of its merges is no pair of tokens: {error}") from error
        return found

    @functools.cached_property
    def _continuing(self) -> str:
        if self.model["type"] == "WordPiece":
            return self.model.get("continuing_subword_prefix", "##")
        return self.model.get("continuing_subword_prefix") or ""

    @functools.cached_property
    def byte_level(self) -> bool:
        """Whether tokens are spelled in the alphabet of ByteLevel."""
        parts = _walk([self.content.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")])
        return any(part.get("type") == "ByteLevel" for part in parts)


def _walk(part: Any) -> Iterator[dict[str, Any]]:
    """A component and all that it is made of."""
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _walk(inner)


def _without_prefix(part: dict[str, Any]) -> bool:
    """Makes a component put no space before the text; whether it did."""
    kind = part.get("type")
    if kind == "Prepend":
        part.update(prepend="", type="Prepend")
        return True
    if kind == "Metaspace":
        had = part.get("prepend_scheme", "always" if part.get("add_prefix_space", True) else "never") != "never"
        part.update(prepend_scheme="never", add_prefix_space=False)
        return had
    if kind == "ByteLevel" and part.get("add_prefix_space"):
        part["add_prefix_space"] = False
        return True
    return False
