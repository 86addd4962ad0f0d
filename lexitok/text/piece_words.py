"""Cuts of text into words that no token of a vocabulary reaches across, where its tokenizer has none of its own."""

import re
from collections.abc import Iterable, Iterator

from lexitok.text.token_bytes import SPACE

# Ways to cut text into words (spaces lead, newlines trail), and what a piece must not have in it to allow them.
_LETTER, _OTHER = r"[^\W\d_]", r"[\W\d_]"
_WORDS = (
    (
        re.compile(rf" *(?:{_LETTER}+\n*|(?:[^\w \n]+|[\d_]+)+\n*|\n+)| +"),
        re.compile(rf"[^{SPACE}]{SPACE}|\n[^\n]|{_LETTER}(?!\n){_OTHER}|(?!{SPACE}){_OTHER}{_LETTER}"),
    ),
    (re.compile(r" *[^ \n]+\n*| *\n+| +"), re.compile(rf"[^{SPACE}]{SPACE}|\n[^\n]")),
    (re.compile(r" *[^ ]+| +"), re.compile(rf"[^{SPACE}]{SPACE}")),
)
_FEW = 1000  # of so many pieces one may reach across words


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


class WordCut:
    """Words of a text. Stretches in which a piece may reach across words are left out."""

    def __init__(self, pieces: Iterable[str]):
        """Args: tokens of text, as SentencePiece spells them.

        Raises:
          ValueError: too many reach across words. Gemma 3 has one that does, `>▁</`.
        """
        texts, reaching = list(pieces), []
        word = finest_words(texts)
        for few, across in () if word is not None else _WORDS:
            reaching = [piece for piece in texts if across.search(piece)]
            if _FEW * len(reaching) <= len(texts):
                word = few
                break
        if word is None:
            raise ValueError(f"{len(reaching)} of {len(texts)} tokens reach across words, as {reaching[0]!r}")
        self._word = word
        spelled = (re.escape(piece.replace(SPACE, " ")) for piece in reaching)
        self._reaching = re.compile("|".join(spelled)) if reaching else None

    def words(self, text: str) -> list[str]:
        """The words, one after the other; spaces are spaces."""
        return [word for stretch in self._stretches(text) for word in self._word.findall(stretch)]

    def _stretches(self, text: str) -> Iterator[str]:
        """The text without what is from a space to a space around a piece that reaches across words."""
        at = 0
        for found in self._reaching.finditer(text) if self._reaching is not None else ():
            if found.start() >= at:
                yield text[at : at + len(text[at : max(at, text.rfind(" ", at, found.start()))].rstrip(" "))]
                end = text.find(" ", found.end())
                at = len(text) if end < 0 else end
        yield text[at:]
