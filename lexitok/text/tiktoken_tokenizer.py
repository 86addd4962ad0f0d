"""Byte-pair vocabularies in the way of the library tiktoken: tokens of bytes by rank, and a pattern that cuts words.

Read from rank files (`.tiktoken`: a token in base64 and its rank in each line), for which pattern and specials have to
be known, and from Mistral's Tekken files, which hold everything. They are exact for any bytes.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np
import tiktoken

from lexitok.text.roles import with_roles
from lexitok.text.token_bytes import missing_bytes, single_bytes
from lexitok.text.vocabulary import TOKENIZER_FORMAT, Encoding

KIND = "tiktoken"
_INVALID = re.compile("([\udc80-\udcff]+)")  # what `surrogateescape` makes of bytes that are not UTF-8
_STRETCH = 50_000  # characters that the library's pattern gets through, whatever they are
# Of Tekken files that do not list their specials (Mistral's documentation; the same order as its SentencePiece models).
_TEKKEN_SPECIALS = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)


class TiktokenTokenizer:
    """Ranks, a pattern and specials. Make it by `from_rank_file`, `from_tekken` or `from_bytes`.

    Attributes:
      vocabulary: its ids; a hole among them is a special without a name.
      ranks, pattern, specials, offset, name: the parts that it was made of.
    """

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        *,
        pattern: str,
        specials: Mapping[str, int],
        offset: int = 0,
        name: str = "ranks",
    ):
        """Takes the parts.

        Args:
          ranks: of tokens; tokens of low rank are merged first. The id of a token is its rank plus `offset`.
          pattern: cuts text into words.
          specials: spelling → id.
          offset: see `ranks`.
          name: what errors call them.

        Raises:
          ValueError: there are single bytes without a token, two tokens with one id, or a pattern that is none.
        """
        self.ranks, self.pattern, self.specials = dict(ranks), pattern, dict(specials)
        self.offset, self.name = offset, name
        ids = [rank + offset for rank in self.ranks.values()] + list(self.specials.values())
        size = max(ids, default=-1) + 1
        if len(set(ids)) < len(ids) or min(ids, default=0) < 0 or size > 2 * len(ids) + 100_000:
            raise ValueError(
                f"{name}: {len(ids)} tokens and specials have ids from {min(ids)} to {size - 1}, or some the same"
            )
        tokens = [b""] * size
        for token, rank in self.ranks.items():
            tokens[rank + offset] = token
        specials_and_holes = {i for i, token in enumerate(tokens) if not token}
        self.vocabulary = with_roles(tokens, specials_and_holes, {i: s for s, i in self.specials.items()}, {})
        if missing := missing_bytes(self.vocabulary):
            raise ValueError(
                f"{name}: {len(missing)} of the 256 single bytes have no token, the first are {missing[:8].hex(' ')}; "
                "text that holds them could not be encoded"
            )
        found = single_bytes(self.vocabulary)
        self._byte_ids = np.array([found[byte][0] for byte in range(256)], np.int32)
        try:
            self._library = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=self.ranks, special_tokens={})
        except Exception as error:  # of the library's own kinds
            raise ValueError(f"{name}: tiktoken refuses the pattern or the ranks: {error}") from error

    def __reduce__(self):
        return TiktokenTokenizer.from_bytes, (self.to_bytes(),)

    @classmethod
    def from_rank_file(
        cls, data: bytes, *, pattern: str, specials: Mapping[str, int], name: str = "rank file"
    ) -> "TiktokenTokenizer":
        """Reads a `.tiktoken` file; see `__init__`. Raises ValueError where it is none, with the line."""
        ranks: dict[bytes, int] = {}
        for number, line in enumerate(data.splitlines(), 1):
            if not line.strip():
                continue
            try:
                token, rank = line.split()
                ranks[base64.b64decode(token, validate=True)] = int(rank)
            except ValueError as error:
                raise ValueError(f"{name}, line {number}: not a token in base64 and its rank: {line[:60]!r}") from error
        if not ranks:
            raise ValueError(f"{name}: there are no ranks in its {len(data)} bytes")
        return cls(ranks, pattern=pattern, specials=specials, name=name)

    @classmethod
    def from_tekken(cls, data: bytes, name: str = "tekken.json") -> "TiktokenTokenizer":
        """Reads a Tekken file: specials come first, and of the ranks only as many are used as the file says.

        Raises:
          ValueError: it is no Tekken file.
        """
        try:
            content = json.loads(data)
            config = content["config"]
            count, pattern = int(config["default_num_special_tokens"]), config["pattern"]
            listed = content.get("special_tokens")
            if listed is None:
                listed = [{"rank": i, "token_str": text} for i, text in enumerate(_TEKKEN_SPECIALS)]
            named = {int(entry["rank"]): entry["token_str"] for entry in listed}
            specials = {named.get(i, f"<SPECIAL_{i}>"): i for i in range(count)}
            used = content["vocab"][: int(config["default_vocab_size"]) - count]
            ranks = {base64.b64decode(entry["token_bytes"], validate=True): int(entry["rank"]) for entry in used}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: not a Tekken file ({len(data)} bytes): {error!r}") from error
        return cls(ranks, pattern=pattern, specials=specials, offset=count, name=name)

    @classmethod
    def from_bytes(cls, data: bytes) -> "TiktokenTokenizer":
        """Reads what `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            content = json.loads(data)
            if (content["format"], content["kind"]) != (TOKENIZER_FORMAT, KIND):
                raise ValueError(f"it is of the format {content['format']!r} and the kind {content['kind']!r}")
            ranks = {base64.b64decode(token, validate=True): rank for token, rank in content["ranks"]}
            parts = {part: content[part] for part in ("pattern", "specials", "offset", "name")}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a tokenizer of the kind {KIND!r}: {error}") from error
        return cls(ranks, **parts)

    def to_bytes(self) -> bytes:
        """Everything, as text (JSON)."""
        content = {
            "format": TOKENIZER_FORMAT,
            "kind": KIND,
            "name": self.name,
            "pattern": self.pattern,
            "specials": self.specials,
            "offset": self.offset,
            "ranks": [[base64.b64encode(token).decode(), rank] for token, rank in self.ranks.items()],
        }
        return json.dumps(content).encode()

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes, without `bos` and `eot`. What spells a special is text."""
        parts = _INVALID.split(data.decode("utf-8", "surrogateescape"))
        ids = np.concatenate([self._bytes(part) if odd % 2 else self._text(part) for odd, part in enumerate(parts)])
        return Encoding(ids, self.vocabulary.lengths[ids], lossy=False)

    def library_ids(self, text: str) -> list[int]:
        """The tokens that tiktoken gives by itself."""
        return [rank + self.offset for rank in self._library.encode_ordinary(text)]

    def word_ids(self, word: bytes) -> list[int]:
        """The tokens of one word, as the pattern cuts them."""
        return [rank + self.offset for rank in self._library._encode_single_piece(word)]

    def batch_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See `lexitok.text.vocabulary.BatchTokenizer`."""
        found = self._library.encode_ordinary_batch(list(texts))
        return [[rank + self.offset for rank in ranks] for ranks in found]

    def _text(self, text: str) -> np.ndarray:
        try:
            found = self._library.encode_to_numpy(text, disallowed_special=())
        except ValueError:  # the pattern ran out of stack, on a million spaces in a row
            stretches = [text[at : at + _STRETCH] for at in range(0, len(text), _STRETCH)]
            found = np.concatenate([self._library.encode_to_numpy(s, disallowed_special=()) for s in stretches])
        return found.astype(np.int32) + np.int32(self.offset)

    def _bytes(self, part: str) -> np.ndarray:
        return self._byte_ids[np.frombuffer(part.encode("utf-8", "surrogateescape"), np.uint8)]
