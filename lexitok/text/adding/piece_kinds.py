"""Which pieces training may make where a tokenizer has no pre-tokenizer: the rules that SentencePiece trains by.

A space is only at the start of a piece, and letters, digits and other characters are in pieces of their own
(`split_by_whitespace`, `split_by_number` and, but for changes of script within a word, `split_by_unicode_script` of
its trainer). The rest is told from the pieces that are there: which digits are joined (Gemma 3 joins those of Bengali,
and not 0 to 9), whether spaces are, and which newlines and the like are in pieces at all.
"""

import unicodedata
from collections.abc import Iterable

from lexitok.text.token_bytes import SPACE


class PieceKinds:
    """The rules of a vocabulary of pieces."""

    def __init__(self, pieces: Iterable[str]):
        """Args: the pieces of text that are there."""
        pieces = list(pieces)
        self._joined = {character for piece in pieces if len(piece) > 1 for character in piece if character.isdecimal()}
        self._spaces = SPACE * 2 in pieces
        self._blank = {character for piece in pieces for character in piece if _kind(character) == "Z"}

    def allows(self, piece: str) -> bool:
        """Whether training may make it."""
        body = piece.removeprefix(SPACE)
        kinds = {_kind(character) for character in body}
        if kinds <= {SPACE}:
            return self._spaces
        if len(kinds) > 1 or SPACE in kinds or (kinds == {"Z"} and not set(body) <= self._blank):
            return False
        return len(piece) == 1 or set(filter(str.isdecimal, piece)) <= self._joined


def _kind(character: str) -> str:
    if character == SPACE:
        return SPACE
    category = unicodedata.category(character)
    return {"L": "L", "M": "L", "N": "N", "Z": "Z"}.get(category[0], "Z" if character.isspace() else "P")
