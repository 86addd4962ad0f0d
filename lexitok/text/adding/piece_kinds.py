"""Which pieces training may make where a tokenizer has no pre-tokenizer: the rules that SentencePiece trains by.

A space is only at the start of a piece, and letters, digits and other characters are in pieces of their own
(`split_by_whitespace`, `split_by_number` and, but for changes of script within a word, `split_by_unicode_script` of
its trainer). Two rules are told from the pieces that are there: whether digits are joined, and spaces.
"""

import unicodedata
from collections.abc import Iterable

from lexitok.text.token_bytes import SPACE


class PieceKinds:
    """The rules of a vocabulary of pieces."""

    def __init__(self, pieces: Iterable[str]):
        """Args: the pieces of text that are there."""
        pieces = list(pieces)
        self._digits = any(len(piece) > 1 and any(map(str.isdecimal, piece)) for piece in pieces)
        self._spaces = SPACE * 2 in pieces

    def allows(self, piece: str) -> bool:
        """Whether training may make it."""
        body = piece.removeprefix(SPACE)
        kinds = {_kind(character) for character in body}
        if kinds <= {SPACE}:
            return self._spaces
        return len(kinds) == 1 and SPACE not in kinds and ("N" not in kinds or self._digits or len(piece) == 1)


def _kind(character: str) -> str:
    if character == SPACE:
        return SPACE
    category = unicodedata.category(character)
    return {"L": "L", "M": "L", "N": "N", "Z": "Z"}.get(category[0], "Z" if character.isspace() else "P")
