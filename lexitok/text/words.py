"""Words of a text, as dictionaries and alignments have them: with the space before each, or without."""

import functools
import re
import unicodedata
from collections.abc import Iterator

# Written without spaces, a word a character: Chinese characters, hiragana and katakana.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"


@functools.cache
def _pattern() -> re.Pattern[str]:
    marks = "".join(c for c in map(chr, range(0x300, 0x20000)) if unicodedata.category(c) in ("Mn", "Mc", "Me"))
    word = rf"(?:(?![{_IDEOGRAPHS}])[\w{marks}])+"  # the marks of a script are no letters to `\w`
    return re.compile(rf" ?(?:[{_IDEOGRAPHS}]|{word}|[^\w\s])")


def words_of(text: str) -> Iterator[str]:
    """Runs of letters, digits and marks, each with one space if there is one before it; other characters one by one.

    Of scripts without spaces, Chinese and Japanese are cut into characters; runs of others (Thai, Khmer) stay one word.
    What else is white space belongs to no word.
    """
    return (found[0] for found in _pattern().finditer(text))
