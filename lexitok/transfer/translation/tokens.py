"""How often tokens of one vocabulary are translated by tokens of another, from the words of a parallel text."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from lexitok.text.parts import Speller
from lexitok.text.vocabulary import Tokenizer
from lexitok.text.words import words_of
from lexitok.transfer.errors import TransferError
from lexitok.transfer.translation.alignment import align_words

_SLIGHT = 0.05  # probability of a link that is not looked at


def token_translations(
    pairs: Sequence[tuple[str, str]],
    source: Tokenizer,
    target: Tokenizer,
    *,
    least: float = 1.0,
    longest: int = 100,
    **alignment: Any,
) -> scipy.sparse.csr_array:
    """Sparse `[V, U]`: how often a token of the target is translated by one of the source, in words.

    Words are aligned without regard to case or to spaces before them. A pair of words that is aligned so often gives
    half of that to all pairs of their tokens alike, and half to tokens at like places (Trans-Tokenization, arXiv
    2408.04303, section 3, which counts words that fast_align has aligned).

    Args:
      pairs: of the source's language and the target's, as `read_bitext` gives them.
      source, target: the tokenizers.
      least: of a count; smaller ones are taken for chance.
      longest: words of a line; pairs with more are left out.
      **alignment: settings of `align_words`.

    Raises:
      TransferError: there are no words; as `align_words`.
      MatchError: a word cannot be spelled in one of the tokenizers.
    """
    words = [([*words_of(ours)], [*words_of(theirs)]) for ours, theirs in pairs]
    words = [(ours, theirs) for ours, theirs in words if 0 < len(ours) <= longest and 0 < len(theirs) <= longest]
    if not words:
        raise TransferError(f"the parallel text has no pair of lines of 1 to {longest} words")
    sides = [[line[side] for line in words] for side in (0, 1)]
    kinds = [_numbered(lines) for lines in sides]
    links = align_words(*kinds, **alignment)
    kept = links.probability >= _SLIGHT
    surface = [np.array([*itertools.chain.from_iterable(lines)], object) for lines in sides]
    counts: dict[tuple[str, str], float] = defaultdict(float)
    for ours, theirs, count in zip(
        surface[0][links.of_source[kept]],
        surface[1][links.of_target[kept]],
        links.probability[kept].tolist(),
        strict=True,
    ):
        counts[ours, theirs] += count
    return _of_tokens(counts, source, target, least)


def _numbered(lines: Sequence[Sequence[str]]) -> list[np.ndarray]:
    number: dict[str, int] = {}
    return [np.array([number.setdefault(w.strip().lower(), len(number)) for w in line], np.int64) for line in lines]


def _of_tokens(
    counts: dict[tuple[str, str], float], source: Tokenizer, target: Tokenizer, least: float
) -> scipy.sparse.csr_array:
    spellers, known = (Speller(source), Speller(target)), ({}, {})

    def parts(side: int, word: str) -> np.ndarray:
        if word not in known[side]:
            known[side][word] = spellers[side].parts(word.encode())
        return known[side][word]

    rows, columns, values = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], [np.zeros(0)]
    for (ours, theirs), count in counts.items():
        a, b = parts(0, ours), parts(1, theirs)
        shares = (_at_like_places(len(b), len(a)) + 1 / (len(a) * len(b))) / 2
        rows.append(np.repeat(b, len(a)))
        columns.append(np.tile(a, len(b)))
        values.append(count * shares.ravel())
    shape = (target.vocabulary.size, source.vocabulary.size)
    indices = (np.concatenate(rows), np.concatenate(columns))
    out = scipy.sparse.coo_array((np.concatenate(values), indices), shape=shape).tocsr()
    out.data[out.data < least] = 0.0
    out.eliminate_zeros()
    return out


def _at_like_places(n: int, m: int) -> np.ndarray:
    """`[n, m]`, adding up to 1: how far the n-ths of a line lie on its m-ths."""
    a, b = np.arange(n)[:, None], np.arange(m)
    return np.maximum(0.0, np.minimum((a + 1) / n, (b + 1) / m) - np.maximum(a / n, b / m))
