"""BPE goes on: the merges that a vocabulary would get next on other text, from the tokens that it makes of it.

After "Teaching Old Tokenizers New Words" (Purason et al., arXiv 2512.03989, continued BPE training): tokens that are
trained apart and appended are often out of reach of the old merges; tokens that are merged from the old ones are not.
"""

import dataclasses
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from lexitok.text.adding.bpe import Rules, Spelling, replaced, settle, touches

LEAST, LONGEST = 2, 64


@dataclasses.dataclass(frozen=True)
class NewToken:
    """A token to be added.

    Attributes:
      id: of the token.
      spelling: as the format has it.
      parts: ids of the two tokens that are merged to it; None for a character, which is there from the start.
    """

    id: int
    spelling: Spelling
    parts: tuple[int, int] | None


def continue_merges(
    words: Mapping[tuple[int, ...], int],
    rules: Rules,
    spellings: Mapping[int, Spelling],
    *,
    ids: Iterable[int],
    bytes_of: Callable[[Spelling], bytes],
    allowed: Callable[[Spelling], bool],
    least: int = LEAST,
    longest: int = LONGEST,
) -> list[NewToken]:
    """The next merges, the most frequent pair of neighbours first.

    A pair is counted at each place where it stands, as a window over the word; of pairs that are equally frequent, the
    one is taken whose left part has the lower bytes, then whose right part has; so ids are of no matter. A pair whose
    spelling is a token already makes no new one, and is left. After each merge the words are what a tokenizer with all
    rules until then makes of them: where a new token is part of an old one, they merge on.

    Args:
      words: tokens of each different word, and how often it is there. A character that is no token is a negative
        number; it is taken for a token when it is more frequent than all pairs.
      rules: of the vocabulary; the new merges are added to them.
      spellings: of the tokens that may be merged, and of the characters that are none.
      ids: of the new tokens; so many are made at most.
      bytes_of: of a spelling.
      allowed: whether a spelling may become a token.
      least: pairs that are less frequent are left.
      longest: bytes of a token.

    Returns:
      The tokens in the order in which they merge; fewer than `ids` where no other pair is left.
    """
    spelled, found = dict(spellings), []
    counts = _Counts(words, spelled, bytes_of, least)
    for token in ids:
        while (parts := counts.most_frequent()) is not None:
            spelling = _joined(parts, spelled)
            if spelling not in rules.ids and len(bytes_of(spelling)) <= longest and allowed(spelling):
                break
            counts.leave(parts)
        else:
            break
        pair = (parts[0], parts[1]) if len(parts) == 2 else None
        found.append(NewToken(token, spelling, pair))
        rules.add(token, spelling, pair)
        spelled[token] = spelling
        counts.merge(parts, token, rules)
    return found


def _joined(parts: tuple[int, ...], spelled: Mapping[int, Spelling]) -> Spelling:
    return spelled[parts[0]] if len(parts) == 1 else spelled[parts[0]] + spelled[parts[1]]


class _Counts:
    """How often pairs of neighbours, and characters that are no tokens, are there, while words are merged."""

    def __init__(
        self,
        words: Mapping[tuple[int, ...], int],
        spelled: Mapping[int, Spelling],
        bytes_of: Callable[[Spelling], bytes],
        least: int,
    ):
        self._words = [list(word) for word in words]
        self._times = list(words.values())
        self._spelled, self._bytes_of, self._least = spelled, bytes_of, least
        self._counts: Counter[tuple[int, ...]] = Counter()
        self._where: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        self._left: set[tuple[int, ...]] = set()
        self._heap: list[tuple[int, bytes, bytes, tuple[int, ...]]] = []
        for which, (word, times) in enumerate(zip(self._words, self._times, strict=True)):
            for parts in self._parts(word):
                self._counts[parts] += times
                self._where[parts].add(which)
        for parts in self._counts:
            self._push(parts)

    def most_frequent(self) -> tuple[int, ...] | None:
        """The pair, or the character, that is there most often; None: none is there often enough."""
        while self._heap:
            count, *_, parts = self._heap[0]
            if -count == self._counts[parts] and parts not in self._left:
                return parts
            heapq.heappop(self._heap)
            if -count > self._counts[parts]:  # it has become rarer; where more frequent, it is in the heap anew
                self._push(parts)
        return None

    def leave(self, parts: tuple[int, ...]) -> None:
        """Never counts them again."""
        self._left.add(parts)

    def merge(self, parts: tuple[int, ...], token: int, rules: Rules) -> None:
        """Makes them one token in all words."""
        grown: set[tuple[int, ...]] = set()
        for which in sorted(self._where.pop(parts)):
            word, times = self._words[which], self._times[which]
            new = replaced(word, parts, token)
            if new == word:
                continue  # they stood there once
            if touches(new, token, rules):
                new = settle(new, rules)
            change = Counter(self._parts(new))
            change.subtract(self._parts(word))
            for changed, by in change.items():
                self._counts[changed] += by * times
                if by > 0:
                    self._where[changed].add(which)
                    grown.add(changed)
            self._words[which] = new
        for now in grown:
            self._push(now)

    def _parts(self, word: list[int]) -> Iterator[tuple[int, ...]]:
        spelled = self._spelled
        yield from ((symbol,) for symbol in word if symbol < 0)
        yield from (
            pair
            for pair in itertools.pairwise(word)
            if pair[0] >= 0 and pair[1] >= 0 and pair[0] in spelled and pair[1] in spelled
        )

    def _push(self, parts: tuple[int, ...]) -> None:
        count = self._counts[parts]
        if count >= self._least and parts not in self._left:
            left, right = (self._bytes_of(self._spelled[part]) for part in (parts[0], parts[-1]))
            heapq.heappush(self._heap, (-count, left, right, parts))
