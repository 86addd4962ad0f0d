"""How the bytes of tokens are miscounted: each a way that was found in published code, as numbers by token.

A bits per byte is wrong by as much as its bytes are. What each way would have given on a text says which of them a
number may be the victim of, and by how many per cent.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from lexitok.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Miscount:
    """One way.

    Attributes:
      said: what is taken for a token's bytes.
      bytes_of: from the exact bytes of a token of text to how many they are taken for.
      where: the ids it is about; None: all that are text.
    """

    said: str
    bytes_of: Callable[[bytes], int]
    where: Callable[[Vocabulary], frozenset[int]] | None = None

    def lengths(self, vocabulary: Vocabulary) -> np.ndarray:
        """int32 `[V]`: bytes of each id as they are miscounted; of specials none."""
        found = vocabulary.lengths.copy()
        ids = range(vocabulary.size) if self.where is None else self.where(vocabulary)
        for i in ids:
            if vocabulary.token_bytes[i]:
                found[i] = self.bytes_of(vocabulary.token_bytes[i])
        return found


def _decoded(token: bytes) -> int:
    return len(token.decode("utf-8", "replace").encode())


def _characters(token: bytes) -> int:
    return len(token) - sum(0x80 <= byte < 0xC0 for byte in token)


def _alphabet(token: bytes) -> int:
    return sum(1 if 0x21 <= byte <= 0x7E else 2 for byte in token)


MISCOUNTS: dict[str, Miscount] = {
    "decoded": Miscount("the token decoded by itself, where part of a character becomes U+FFFD, three bytes", _decoded),
    "decoded without its space": Miscount(
        "the token decoded by itself, which drops the space that it begins with",
        lambda token: _decoded(token.removeprefix(b" ")),
    ),
    "space twice": Miscount(
        "the token with its space, and one more for the space", lambda token: len(token) + token.startswith(b" ")
    ),
    "mark as written": Miscount(
        "the piece as it is written, with ▁ for a space, three bytes", lambda token: len(token) + 2 * token.count(b" ")
    ),
    "names of bytes": Miscount(
        "the piece as it is written, as <0xE4> for a byte, six bytes",
        lambda token: 6 * len(token),
        where=lambda vocabulary: vocabulary.byte_fallback,
    ),
    "alphabet of bytes": Miscount(
        "the token as it is written in GPT-2's alphabet, where what is not ASCII, and a space, are two bytes", _alphabet
    ),
    "characters": Miscount("the token's characters, not its bytes", _characters),
}
