"""Cuts of text into words that no token of a vocabulary reaches across, where its tokenizer has none of its own."""

import re
from collections.abc import Iterable

from lexitok.text.token_bytes import SPACE

# Ways to cut text into words (spaces lead, newlines trail), and what a piece must not have in it to allow them.
_LETTER, _OTHER = r"[^\W\d_]", r"[\W\d_]"
_WORDS = (
    (
        re.compile(rf" *(?:{_LETTER}+\n*|(?:[^\w \n]+|[\d_]+)+\n*|\n+)| +"),
        re.compile(rf"[^{SPACE}]{SPACE}|\n[^\n]|{_LETTER}(?!\n){_OTHER}|(?!{SPACE}){_OTHER}{_LETTER}"),
    ),
    (re.compile(r" *[^ \n]+\n*| *\n+| +"), re.compile(rf"[^{SPACE}]{SPACE}|\n[^\n]")),
)


def finest_words(pieces: Iterable[str]) -> re.Pattern[str] | None:
    """The finest cut into words that no piece reaches across, so that BPE can merge in each of them on its own.

    Args:
      pieces: tokens of text, as SentencePiece spells them.

    Returns:
      Its matches are the words of a text, in which spaces are spaces; None where pieces reach across all cuts known.
    """
    texts = list(pieces)
    for word, across in _WORDS:
        if not any(map(across.search, texts)):
            return word
    return None
