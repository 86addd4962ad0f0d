"""A token's bytes in tokens of another tokenizer: exactly those bytes, without what it puts before a text."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int

from lexitok.text.matching import MatchError
from lexitok.text.vocabulary import Tokenizer

_LONGEST = 64  # bytes of a token that the fallback looks for


class Parts:
    """The parts of some tokens.

    Attributes:
      starts: int64 `[n + 1]`; the parts of token `t` are `ids[starts[t]:starts[t + 1]]`.
      ids: int32, of the source; each token has one at least.
    """

    def __init__(self, parts: Iterable[np.ndarray]):
        parts = list(parts)
        self.starts = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        self.ids = np.concatenate([*parts, np.zeros(0, np.int32)]).astype(np.int32)

    @property
    def counts(self) -> Int[np.ndarray, "n"]:
        """How many parts each token has."""
        return np.diff(self.starts)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """For each part, the token that it is of, and which of its parts, from 0."""
        token = np.repeat(np.arange(len(self.counts)), self.counts)
        return token, np.arange(len(self.ids)) - self.starts[token]


def parts_of(tokens: Iterable[bytes], source: Tokenizer) -> Parts:
    """The parts of tokens in a tokenizer.

    They are what the tokenizer makes of the bytes. Many put a space before every text: then those of the bytes without
    their first space, or without that one space, are taken; and where none of these spell the bytes, the longest tokens
    from the left that do.

    Raises:
      MatchError: no tokens of the source spell one of them; names it.
    """
    speller = Speller(source)
    return Parts(speller.parts(token) for token in tokens)


class Speller:
    """Spells tokens, one at a time, in tokens of one source."""

    def __init__(self, source: Tokenizer):
        self._source = source
        self._bytes = source.vocabulary.token_bytes
        self._ids = {token: i for i, token in reversed(list(enumerate(self._bytes))) if token}

    def parts(self, token: bytes) -> Int[np.ndarray, "parts"]:
        """The parts of a token, as `parts_of` says them, which raises what this does."""
        for text in (token, token[1:]) if token[:1] == b" " else (token,):
            ids = self._source.encode(text).ids
            spelled = self._spelled(ids)
            if spelled == token:
                return ids[[bool(self._bytes[i]) for i in ids.tolist()]]
            if spelled == b" " + token and self._bytes[ids[0]] == b" ":
                return ids[1:]
        return self._longest_first(token)

    def _spelled(self, ids: np.ndarray) -> bytes:
        return b"".join(self._bytes[i] for i in ids.tolist())

    def _longest_first(self, token: bytes) -> np.ndarray:
        found, at = [], 0
        while at < len(token):
            lengths = range(min(_LONGEST, len(token) - at), 0, -1)
            size = next((n for n in lengths if token[at : at + n] in self._ids), 0)
            if not size:
                raise MatchError(f"no tokens of the source spell {token!r}: it has none for {token[at : at + 1]!r}")
            found.append(self._ids[token[at : at + size]])
            at += size
        return np.array(found, np.int32)
