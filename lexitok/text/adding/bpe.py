"""What byte-pair encoding merges, and in which order, as each format says it; a word merged by these rules."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

Spelling = Any  # bytes, or text in the format's own letters: two spellings can be joined


@runtime_checkable
class Rules(Protocol):
    """The merges of a vocabulary.

    Attributes:
      ids: spelling → id, of the tokens that merges may lead to or begin with.
    """

    @property
    def ids(self) -> dict[Spelling, int]: ...

    def merged(self, left: int, right: int) -> tuple[int | float, int] | None:
        """The rank of the merge of two tokens, the lowest first, and what comes of it; None: they do not merge."""
        ...

    def add(self, token: int, spelling: Spelling, parts: tuple[int, int] | None) -> None:
        """A further token, and its merge behind all others; without parts it is a single character."""
        ...

    def remove(self, token: int) -> None:
        """Takes a token out, and the merges that lead to it."""
        ...

    def merges(self) -> Iterator[tuple[int, int, int]]:
        """All merges: the two parts, and what comes of them."""
        ...


class ListedMerges:
    """The rules of a format that lists its merges."""

    def __init__(self, ids: Mapping[Spelling, int], merges: Sequence[tuple[Spelling, Spelling]]):
        """Args: spelling → id, and pairs of spellings, those of the highest rank first.

        Raises:
          KeyError: a merge of or to something that is no token.
        """
        self.ids: dict[Spelling, int] = dict(ids)
        self._spelled = {i: spelling for spelling, i in self.ids.items()}
        self._found: dict[tuple[int, int], tuple[int | float, int]] = {}
        self._leading_to: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        self._next = 0
        for left, right in merges:  # of a pair that is there twice the last counts
            self._add((ids[left], ids[right]), ids[left + right])

    def merged(self, left: int, right: int) -> tuple[int | float, int] | None:
        """As of `Rules`."""
        return self._found.get((left, right))

    def add(self, token: int, spelling: Spelling, parts: tuple[int, int] | None) -> None:
        """As of `Rules`."""
        self.ids[spelling], self._spelled[token] = token, spelling
        if parts is not None:
            self._add(parts, token)

    def remove(self, token: int) -> None:
        """As of `Rules`."""
        del self.ids[self._spelled.pop(token)]
        for parts in self._leading_to.pop(token, ()):
            del self._found[parts]

    def merges(self) -> Iterator[tuple[int, int, int]]:
        """As of `Rules`."""
        return ((left, right, token) for (left, right), (_, token) in self._found.items())

    def _add(self, parts: tuple[int, int], token: int) -> None:
        self._found[parts] = self._next, token
        self._leading_to[token].add(parts)
        self._next += 1


class AnyPair:
    """The rules of a format that merges any two neighbours whose bytes together are a token, the best token first."""

    def __init__(self, ids: Mapping[Spelling, int], ranks: Mapping[int, int | float]):
        """Args: spelling → id, and id → rank, the lowest first."""
        self.ids: dict[Spelling, int] = dict(ids)
        self._spelled = {i: spelling for spelling, i in self.ids.items()}
        self._ranks = dict(ranks)
        self._next = max(self._ranks.values(), default=0) + 1

    def merged(self, left: int, right: int) -> tuple[int | float, int] | None:
        """As of `Rules`."""
        if left not in self._spelled or right not in self._spelled:
            return None
        token = self.ids.get(self._spelled[left] + self._spelled[right])
        return None if token is None else (self._ranks[token], token)

    def add(self, token: int, spelling: Spelling, parts: tuple[int, int] | None) -> None:
        """As of `Rules`."""
        self.ids[spelling], self._spelled[token] = token, spelling
        self._ranks[token], self._next = self._next, self._next + 1

    def remove(self, token: int) -> None:
        """As of `Rules`."""
        del self.ids[self._spelled.pop(token)], self._ranks[token]

    def merges(self) -> Iterator[tuple[int, int, int]]:
        """As of `Rules`."""
        for spelling, token in self.ids.items():
            for at in range(1, len(spelling)):
                left, right = self.ids.get(spelling[:at]), self.ids.get(spelling[at:])
                if left is not None and right is not None:
                    yield left, right, token


def settle(symbols: Sequence[int], rules: Rules) -> list[int]:
    """Merges until no rule is left to apply: the merge of the lowest rank first, of equal ones the leftmost.

    Args:
      symbols: tokens, or negative numbers, which are in no merge.
    """
    n = len(symbols)
    tokens: list[int | None] = list(symbols)
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))
    heap: list[tuple[int | float, int, int, int]] = []

    def see(left: int, right: int) -> None:
        if left >= 0 and right < n:
            a, b = tokens[left], tokens[right]
            assert a is not None and b is not None
            found = rules.merged(a, b)
            if found is not None:
                heapq.heappush(heap, (found[0], left, right, found[1]))

    for left in range(n - 1):
        see(left, left + 1)
    while heap:
        rank, left, right, token = heapq.heappop(heap)
        a, b = tokens[left], tokens[right] if after[left] == right else None
        if a is None or b is None or rules.merged(a, b) != (rank, token):
            continue  # one of them is another by now
        tokens[left], tokens[right] = token, None
        after[left] = after[right]
        if after[left] < n:
            before[after[left]] = left
        see(before[left], left)
        see(left, after[left])
    return [token for token in tokens if token is not None]


def replaced(symbols: Sequence[int], parts: tuple[int, ...], token: int) -> list[int]:
    """The symbols with every occurrence of one or two of them, from the left, as one token."""
    found, at, width = [], 0, len(parts)
    while at < len(symbols):
        if tuple(symbols[at : at + width]) == parts:
            found.append(token)
            at += width
        else:
            found.append(symbols[at])
            at += 1
    return found


def touches(symbols: Sequence[int], token: int, rules: Rules) -> bool:
    """Whether a token merges with a neighbour."""
    return any(
        token in (left, right) and rules.merged(left, right) is not None for left, right in itertools.pairwise(symbols)
    )
