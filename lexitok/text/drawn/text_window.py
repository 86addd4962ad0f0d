"""The last texts of a stream, and how often the substrings of their words are there."""

import collections
from collections import Counter, deque
from collections.abc import Iterable

import numpy as np

from lexitok.text.drawn.substrings import SubstringCounts, count_substrings, no_substrings
from lexitok.text.drawn.words import count_words, word_splitter


class TextWindow:
    """The last texts, together of at most so many bytes; the last one is kept whatever its length.

    Counts follow the texts that come and go: a step costs what is new and what is forgotten, not the window. They are
    those of the texts that are there, however it came about.
    """

    def __init__(self, most_bytes: int, *, pattern: str, longest: int, stride: int = 1):
        """Starts without texts.

        Args:
          most_bytes: of all texts together.
          pattern: cuts texts into words; substrings are within words.
          longest: bytes of the longest substring.
          stride: substrings start at every so-manieth character of a word.

        Raises:
          ValueError: a number that is too small, or a pattern that is none.
        """
        if most_bytes < 1 or stride < 1:
            raise ValueError(f"a window of {most_bytes} bytes and a stride of {stride}; both must be at least 1")
        self.counts: SubstringCounts = no_substrings(longest)
        self._most, self._longest, self._stride = most_bytes, longest, stride
        self._splitter = word_splitter(pattern)
        self._texts: deque[tuple[bytes, Counter[bytes]]] = collections.deque()
        self._bytes = 0

    @property
    def texts(self) -> tuple[bytes, ...]:
        """Those that are there, the oldest first."""
        return tuple(text for text, _ in self._texts)

    def add(self, texts: Iterable[bytes]) -> None:
        """Reads further texts (any bytes), and forgets the oldest for which there is no room."""
        change: dict[bytes, int] = collections.defaultdict(int)
        for text in texts:
            words = count_words(text, self._splitter)
            self._texts.append((text, words))
            self._bytes += len(text)
            for word, count in words.items():
                change[word] += count
        while self._bytes > self._most and len(self._texts) > 1:
            text, words = self._texts.popleft()
            self._bytes -= len(text)
            for word, count in words.items():
                change[word] -= count
        changed = {word: count for word, count in change.items() if count}
        weights = np.fromiter(changed.values(), np.int64, len(changed))
        new = count_substrings(list(changed), weights, longest=self._longest, stride=self._stride)
        self.counts = self.counts.merged(new)
