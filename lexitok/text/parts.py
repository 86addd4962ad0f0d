"""A token's bytes in tokens of another tokenizer: exactly those bytes, without what it puts before a text."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int

from lexitok.text.matching import MatchError
from lexitok.text.vocabulary import BatchTokenizer, Tokenizer

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
    return Parts(Speller(source).all(list(tokens)))


class Speller:
    """Spells tokens in tokens of one source."""

    def __init__(self, source: Tokenizer):
        self._source = source
        self._bytes = source.vocabulary.token_bytes
        self._ids = {token: i for i, token in reversed(list(enumerate(self._bytes))) if token}

    def parts(self, token: bytes) -> Int[np.ndarray, "parts"]:
        """The parts of a token, as `parts_of` says them, which raises what this does."""
        return self.all([token])[0]

    def all(self, tokens: Sequence[bytes]) -> list[Int[np.ndarray, "parts"]]:
        """The parts of each token: quicker than one by one."""
        found: dict[int, np.ndarray] = {}
        for before in (b"", b" "):  # without it
            asked = [i for i, token in enumerate(tokens) if i not in found and token.startswith(before)]
            texts = [tokens[i].removeprefix(before) for i in asked]
            for i, text, quick in zip(asked, texts, self._quick(texts), strict=True):
                spelled = None if quick is None else self._spelling(tokens[i], quick)
                if spelled is None:
                    spelled = self._spelling(tokens[i], self._source.encode(text).ids.tolist())
                if spelled is not None:
                    found[i] = np.array(spelled, np.int32)
        return [found[i] if i in found else self._longest_first(token) for i, token in enumerate(tokens)]

    def _quick(self, texts: Sequence[bytes]) -> list[list[int] | None]:
        """The ids of each text by the library alone; None where it cannot be asked."""
        if not isinstance(self._source, BatchTokenizer):
            return [None] * len(texts)
        valid = {text: characters for text in texts if (characters := _characters(text)) is not None}
        found = dict(zip(valid, self._source.batch_ids(list(valid.values())), strict=True))
        return [found.get(text) for text in texts]

    def _spelling(self, token: bytes, ids: list[int]) -> list[int] | None:
        """Those of the ids that spell a token; None, if they do not."""
        spelled = b"".join(map(self._bytes.__getitem__, ids))
        if spelled == token:
            return [i for i in ids if self._bytes[i]]
        return ids[1:] if spelled == b" " + token and self._bytes[ids[0]] == b" " else None

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


def _characters(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
