"""A teacher's tokens as the student's symbols that their bytes begin with, from any byte of theirs."""

import bisect
import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from lexitok.distill.shared_symbols import shared_symbols
from lexitok.text.vocabulary import Vocabulary

RESIDUAL = -1  # no symbol of the student begins the bytes that are left
OVER = -2  # no bytes are left


@dataclasses.dataclass(frozen=True)
class BytePrefixes:
    """Of each of the teacher's `V` ids, and of each number of bytes of it that there have been, from 0 to `D - 1`.

    Attributes:
      first_VxD: the longest symbol of the student that the bytes behind these begin with; `RESIDUAL`, `OVER`. A special
        is the student's of the same role, before its first byte.
      rank_V: the place of the token in the order of bytes; -1 for specials.
      low_VxD, high_VxD: ranks, from and up to, of the tokens that begin with the same bytes.
    """

    first_VxD: Int[np.ndarray, "V D"]
    rank_V: Int[np.ndarray, "V"]
    low_VxD: Int[np.ndarray, "V D"]
    high_VxD: Int[np.ndarray, "V D"]


def byte_prefixes(student: Vocabulary, teacher: Vocabulary, depth: int) -> BytePrefixes:
    """From the bytes of both vocabularies.

    Args:
      student, teacher: the vocabularies.
      depth: `D`, bytes inside a token of the teacher that are looked at, at most; fewer if no token is as long.

    Raises:
      MatchError: the vocabularies share nothing.
    """
    V = teacher.size
    D = max(1, min(depth, int(teacher.lengths.max())))
    first_VxD = np.full((V, D), OVER, np.int32)
    rank_V, low_VxD, high_VxD = np.full(V, -1, np.int32), np.zeros((V, D), np.int32), np.zeros((V, D), np.int32)
    order = sorted((token, i) for i, token in enumerate(teacher.token_bytes) if token)
    tokens = [token for token, _ in order]
    for rank, (_, i) in enumerate(order):
        rank_V[i] = rank
    longest = _Longest({token: ids[0] for token, ids in student.ids_of_bytes.items()})
    ranks = _Ranks(tokens)
    for token, i in order:
        for d in range(min(D, len(token))):
            first_VxD[i, d] = longest(token[d:])
            low_VxD[i, d], high_VxD[i, d] = ranks(token[:d])
    shared = shared_symbols(student, teacher)
    roles = {int(j): int(i) for i, j in zip(shared.student, shared.teacher, strict=True)}
    for i in np.flatnonzero(teacher.lengths == 0).tolist():
        first_VxD[i, 0] = roles.get(i, RESIDUAL)
    return BytePrefixes(first_VxD, rank_V, low_VxD, high_VxD)


class _Longest:
    """The longest token that some bytes begin with."""

    def __init__(self, ids: Mapping[bytes, int]):
        self._ids, self._most = ids, max(map(len, ids))
        self._found: dict[bytes, int] = {}

    def __call__(self, data: bytes) -> int:
        if data not in self._found:
            lengths = range(min(len(data), self._most), 0, -1)
            self._found[data] = next((self._ids[data[:n]] for n in lengths if data[:n] in self._ids), RESIDUAL)
        return self._found[data]


class _Ranks:
    """The ranks of tokens that begin with some bytes."""

    def __init__(self, tokens: list[bytes]):
        self._tokens, self._end = tokens, b"\xff" * (max(map(len, tokens)) + 1)
        self._found: dict[bytes, tuple[int, int]] = {}

    def __call__(self, data: bytes) -> tuple[int, int]:
        if data not in self._found:
            ends = bisect.bisect_left(self._tokens, data), bisect.bisect_right(self._tokens, data + self._end)
            self._found[data] = ends
        return self._found[data]
