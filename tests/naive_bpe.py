"""BPE that goes on, by definition: all words are cut anew, and all pairs counted, for every token."""

from collections import Counter
from itertools import pairwise


def bpe(symbols, merged):
    """The merge of the lowest rank first, of equal ones the leftmost; `merged` gives rank and product of a pair."""
    symbols = list(symbols)
    while True:
        ranks = [(*found, at) for at, pair in enumerate(pairwise(symbols)) if (found := merged(*pair)) is not None]
        if not ranks:
            return symbols
        _, token, at = min(ranks, key=lambda rank: (rank[0], rank[2]))
        symbols[at : at + 2] = [token]


def continued(words, merges, count, *, listed, least=2):
    """New tokens (bytes) and their parts.

    Args:
      words: bytes of each and how often it is there.
      merges: pairs of bytes, the first of the highest rank.
      listed: only these pairs merge; else any two whose bytes together are a token.
    """
    merges, new = list(merges), []

    def merged(left, right):
        if listed:
            return (merges.index((left, right)), left + right) if (left, right) in merges else None
        products = [a + b for a, b in merges]
        return (products.index(left + right), left + right) if left + right in products else None

    for _ in range(count):
        counts = Counter()
        for word, times in words.items():
            for pair in pairwise(bpe([word[i : i + 1] for i in range(len(word))], merged)):
                counts[pair] += times
        there = {a + b for a, b in merges}
        free = [(-times, pair) for pair, times in counts.items() if times >= least and pair[0] + pair[1] not in there]
        if not free:
            break
        merges.append(min(free)[1])
        new.append(merges[-1])
    return new
