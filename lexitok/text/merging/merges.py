"""Merges: found in token sequences, or carried over to others. Ids of merged tokens follow those of the vocabulary.

The published algorithm (arXiv 2411.18553, section 3.1) is byte-pair encoding on tokens: in each step the pair that is
commonest in the whole batch becomes a token, everywhere and from the left. Here as there equal bytes are one token, and
of equally common pairs the first in the text is taken. Whether a pair lies within a word is seen in the text here; the
authors' code looks at the pair's own bytes alone, so that it merges across words where these are no UTF-8, and not
within those that would be two words if they stood by themselves. It counts the batch anew for each merge.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from lexitok.text.merging.chain import Chain
from lexitok.text.vocabulary import Vocabulary


class MergeError(ValueError):
    """Merges that cannot be made or read; the message says why."""


class TokenSequence(NamedTuple):
    """Tokens of a text that are to be merged.

    Attributes:
      ids: of the vocabulary.
      joins: which may be merged with the one before (`lexitok.text.merging.words`); specials never are.
    """

    ids: Int[np.ndarray, "n"]
    joins: Bool[np.ndarray, "n"]


class MergedSequence(NamedTuple):
    """The tokens that a sequence has become.

    Attributes:
      ids: of the vocabulary, and behind them merged tokens.
      starts: where each begins among the tokens of the sequence.
    """

    ids: Int[np.ndarray, "m"]
    starts: Int[np.ndarray, "m"]

    def sums(self, of_tokens: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
        """Numbers of the sequence's tokens, bytes for instance, added up for each merged token."""
        return np.add.reduceat(of_tokens, self.starts) if len(self.starts) else of_tokens[:0]


class MergedToken(NamedTuple):
    """A token that the vocabulary has not.

    Attributes:
      data: its bytes.
      parts: the ids of the vocabulary that it was first merged of.
    """

    data: bytes
    parts: tuple[int, ...]


class Merge(NamedTuple):
    """A pair of tokens that became one, and how often it did where it was found."""

    left: int
    right: int
    made: int
    count: int


@dataclasses.dataclass(frozen=True)
class Merges:
    """Merges in their order.

    Attributes:
      vocabulary: of the tokens that are merged, `V` ids.
      steps: the merges. What a pair makes is an id of the vocabulary where this has a token of the same bytes.
      tokens: the new ones; the id of the first is `V`.
    """

    vocabulary: Vocabulary
    steps: tuple[Merge, ...]
    tokens: tuple[MergedToken, ...]

    @functools.cached_property
    def extended(self) -> Vocabulary:
        """The vocabulary with the merged tokens behind it."""
        tokens = self.vocabulary.token_bytes + tuple(token.data for token in self.tokens)
        return dataclasses.replace(self.vocabulary, token_bytes=tokens)

    @property
    def bits(self) -> float:
        """What it takes to say the merges: of each, two of the tokens that there are by then."""
        made = np.array([step.made for step in self.steps], np.int64)
        new = np.maximum.accumulate(np.maximum(made + 1 - self.vocabulary.size, 0))  # after each merge
        return 2 * math.fsum(np.log2(self.vocabulary.size + np.append(0, new)[: len(new)]))

    def apply(self, sequences: Sequence[TokenSequence]) -> list[MergedSequence]:
        """The same merges in other sequences, one after the other, each everywhere and from the left.

        In the sequences that they were found in, all together, they make what was made there.
        """
        chain = _chain(sequences, self.vocabulary)
        for step in self.steps:
            chain.merge((step.left, step.right), step.made)
        return _split(chain, sequences)


def find_merges(
    sequences: Sequence[TokenSequence],
    vocabulary: Vocabulary,
    *,
    merges: int,
    compression: float = 1.0,
    least: int = 1,
) -> tuple[Merges, list[MergedSequence]]:
    """Merges the commonest pair of all sequences, again and again; of several, the one that is first in the text.

    Args:
      sequences: the batch; with one alone, what it becomes does not depend on others.
      vocabulary: of their ids.
      merges: how many, at most.
      compression: no further merge is made once so large a fraction of all tokens has been saved.
      least: a pair that occurs less often is not merged.

    Returns:
      The merges, and what the sequences are with them.

    Raises:
      MergeError: settings that mean nothing; an id that is not in the vocabulary; `joins` of another length.
    """
    if merges < 0 or least < 1 or not 0.0 <= compression <= 1.0:
        raise MergeError(
            f"{merges} merges of pairs that occur {least} times, until {compression} is saved: the first is 0 or more, "
            "the second 1 or more, the third a fraction"
        )
    chain, table = _chain(sequences, vocabulary), _Table(vocabulary)
    left = before = sum(len(sequence.ids) for sequence in sequences)
    while len(table.steps) < merges and before - left < compression * before:
        found = chain.commonest()
        if found is None or found[1] < least:
            break
        pair = found[0]
        made = table.made_by(*pair)
        count = chain.merge(pair, made)
        table.steps.append(Merge(*pair, made, count))
        left -= count
    return Merges(vocabulary, tuple(table.steps), tuple(table.tokens)), _split(chain, sequences)


class _Table:
    """The tokens that there are, by their bytes."""

    def __init__(self, vocabulary: Vocabulary):
        self.steps: list[Merge] = []
        self.tokens: list[MergedToken] = []
        self._vocabulary = vocabulary
        self._first = _first_ids(vocabulary)
        self._new: dict[bytes, int] = {}

    def made_by(self, left: int, right: int) -> int:
        """The token that two become; a new one, if there is none of their bytes."""
        a, b = self._token(left), self._token(right)
        data = a.data + b.data
        if data in self._first:
            return self._first[data]
        if data not in self._new:
            self._new[data] = self._vocabulary.size + len(self.tokens)
            self.tokens.append(MergedToken(data, a.parts + b.parts))
        return self._new[data]

    def _token(self, i: int) -> MergedToken:
        V = self._vocabulary.size
        return MergedToken(self._vocabulary.token_bytes[i], (i,)) if i < V else self.tokens[i - V]


@functools.lru_cache(maxsize=8)
def _first_ids(vocabulary: Vocabulary) -> dict[bytes, int]:
    """The first id of each token's bytes."""
    return {token: i for i, token in reversed(list(enumerate(vocabulary.token_bytes))) if token}


def _chain(sequences: Sequence[TokenSequence], vocabulary: Vocabulary) -> Chain:
    """All sequences, one behind the other: the first token of each joins nothing, nor does what has no bytes."""
    for number, (ids, joins) in enumerate(sequences):
        if len(ids) != len(joins):
            raise MergeError(f"sequence {number} has {len(ids)} tokens, and {len(joins)} that join or do not")
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary.size:
            raise MergeError(f"sequence {number} has the ids {ids.min()} to {ids.max()} of {vocabulary.size}")
    ids = np.concatenate([np.zeros(0, np.int32), *(sequence.ids for sequence in sequences)])
    joins = np.concatenate([np.zeros(0, bool), *(sequence.joins for sequence in sequences)])
    lengths = np.array([len(sequence.ids) for sequence in sequences], np.int64)
    is_text = vocabulary.lengths[ids] > 0
    joins &= is_text & np.append(False, is_text[:-1])[: len(ids)]
    joins[(np.cumsum(lengths) - lengths)[lengths > 0]] = False
    return Chain(ids.tolist(), joins.tolist())


def _split(chain: Chain, sequences: Sequence[TokenSequence]) -> list[MergedSequence]:
    ids, starts = chain.tokens()
    first = np.cumsum([0, *(len(sequence.ids) for sequence in sequences)], dtype=np.int64)
    at = np.searchsorted(starts, first)
    ends = list(zip(at[:-1], at[1:], first[:-1], strict=True))
    return [MergedSequence(ids[a:b], starts[a:b] - begin) for a, b, begin in ends]
