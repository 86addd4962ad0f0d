"""Tokens that nothing is built on and that a text hardly uses, to be taken out of a vocabulary.

After "Teaching Old Tokenizers New Words" (Purason et al., arXiv 2512.03989, leaf-based pruning): a token that is part
of no merge can go, and its text is what it was merged from. Then one of its parts may have become such a leaf.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping

from lexitok.text.adding.bpe import Rules, settle


def prune_leaves(
    rules: Rules,
    uses: Mapping[int, int],
    count: int,
    *,
    characters: Callable[[int], list[int]],
    kept: Collection[int] = (),
    most_uses: int | None = None,
) -> list[int]:
    """Takes leaves out of a vocabulary, one after the other, the least used first; of equals the one of the higher id.

    Where a format lists no merges, every cut of a token into two tokens is one. What no merge leads to is never taken:
    single characters and bytes, and tokens that are only matched whole.

    Args:
      rules: of the vocabulary; what is pruned is taken out of them.
      uses: how often the text has each token; a token that is taken leaves its uses to its parts.
      count: how many are taken; fewer where there are no more.
      characters: the tokens that merging begins with, for the spelling of a token.
      kept: tokens that are left in any case.
      most_uses: tokens that are used more often are left; None: it is of no matter.

    Returns:
      The ids, in the order in which they are taken.
    """
    left = Counter(uses)
    merges: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    built_on: Counter[int] = Counter()  # in how many merges a token is a part
    for a, b, token in rules.merges():
        merges[token].add((a, b))
        built_on.update({a, b})
    heap = [(left[token], -token) for token in merges if not built_on[token] and token not in kept]
    heapq.heapify(heap)
    pruned: list[int] = []
    while heap and len(pruned) < count:
        used, token = heapq.heappop(heap)
        token = -token
        if used != left[token]:  # it is used more by now
            heapq.heappush(heap, (left[token], -token))
            continue
        if most_uses is not None and used > most_uses:
            break
        pruned.append(token)
        begin = characters(token)
        rules.remove(token)
        for part in settle(begin, rules):
            left[part] += used
        for pair in merges.pop(token):
            for part in set(pair):
                built_on[part] -= 1
                if not built_on[part] and part in merges and part not in kept:
                    heapq.heappush(heap, (left[part], -part))
    return pruned
