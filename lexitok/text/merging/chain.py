"""Tokens in a chain, in which the commonest pair of neighbours is known, and merged at the cost of what changes."""

import heapq
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

Pair = tuple[int, int]
_GONE = -1  # the id of a token that has become part of the one before it


class Chain:
    """Tokens, each with the next and the one before; pairs are counted where the second joins the first.

    Occurrences may overlap, as in `aaa`, which has the pair `aa` twice. What is out of date in the queues is found out
    when it comes up: of a pair, an entry is never behind where it should be. So all merges together take
    `O(n log n)` steps for `n` tokens.
    """

    def __init__(self, ids: Sequence[int], joins: Sequence[bool]):
        """Args: the tokens, and which of them may be merged with the one before."""
        n = len(ids)
        self._ids, self._joins = list(ids), list(joins)
        self._next, self._before = list(range(1, n + 1)), list(range(-1, n - 1))
        self._places: dict[Pair, list[int]] = {}  # heaps: where a pair's first tokens are, or were
        for at in range(1, n):
            if self._joins[at]:
                self._places.setdefault((self._ids[at - 1], self._ids[at]), []).append(at - 1)
        self._counts = {pair: len(places) for pair, places in self._places.items()}
        self._queue = [(-len(places), places[0], pair) for pair, places in self._places.items()]
        heapq.heapify(self._queue)

    def commonest(self) -> tuple[Pair, int] | None:
        """The pair that occurs most often, and how often; of several, the first in the text. None: no pair."""
        while self._queue:
            pair = self._queue[0][2]
            count = self._counts.get(pair, 0)
            if not count:
                heapq.heappop(self._queue)
                continue
            now = (-count, self._first(pair), pair)
            if now == self._queue[0]:
                return pair, count
            heapq.heapreplace(self._queue, now)
        return None

    def merge(self, pair: Pair, made: int) -> int:
        """Puts `made` for every occurrence of a pair, from the left; returns for how many."""
        merged, changed = 0, set()
        for at in sorted(self._places.pop(pair, ())):
            if not self._is_at(pair, at):
                continue
            merged += 1
            second = self._next[at]
            before, after = self._before[at], self._next[second]
            joins, joined = self._joins[at], after < len(self._ids) and self._joins[after]
            if joins:
                self._counts[self._ids[before], pair[0]] -= 1
            if joined:
                self._counts[pair[1], self._ids[after]] -= 1
            self._ids[at], self._ids[second] = made, _GONE
            self._next[at] = after
            if after < len(self._ids):
                self._before[after] = at
            if joins:
                changed.add(self._add((self._ids[before], made), before))
            if joined:
                changed.add(self._add((made, self._ids[after]), at))
        self._counts.pop(pair, None)
        for other in changed:
            if self._counts[other]:
                heapq.heappush(self._queue, (-self._counts[other], self._first(other), other))
        return merged

    def tokens(self) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
        """The tokens that are there now, and where each began among those of the beginning."""
        ids = np.array(self._ids, np.int32)
        starts = np.flatnonzero(ids != _GONE)
        return ids[starts], starts

    def _add(self, pair: Pair, at: int) -> Pair:
        self._counts[pair] = self._counts.get(pair, 0) + 1
        heapq.heappush(self._places.setdefault(pair, []), at)
        return pair

    def _is_at(self, pair: Pair, at: int) -> bool:
        second = self._next[at]
        if self._ids[at] != pair[0] or second == len(self._ids):
            return False
        return self._ids[second] == pair[1] and self._joins[second]

    def _first(self, pair: Pair) -> int:
        places = self._places[pair]
        while not self._is_at(pair, places[0]):
            heapq.heappop(places)
        return places[0]
