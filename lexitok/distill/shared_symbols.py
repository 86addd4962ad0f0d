"""The symbols that two vocabularies have in common."""

import dataclasses

import numpy as np
from jaxtyping import Int

from lexitok.text.matching import NONE, match
from lexitok.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class SharedSymbols:
    """Pairs of ids: of tokens of the same bytes, and of specials of the same role. An id is in one pair at most.

    Attributes:
      student, teacher: the ids, by rising ids of the student.
    """

    student: Int[np.ndarray, "n"]
    teacher: Int[np.ndarray, "n"]

    def teacher_of(self, size: int) -> Int[np.ndarray, "V"]:
        """For each of `size` ids of the student, that of the teacher; -1: there is none."""
        found = np.full(size, NONE, np.int32)
        found[self.student] = self.teacher
        return found


def shared_symbols(student: Vocabulary, teacher: Vocabulary) -> SharedSymbols:
    """What both have: of equal vocabularies everything. Of ids that stand for one symbol the first is taken.

    Raises:
      MatchError: they share no token of text, or several ids of the student have the same bytes.
    """
    if student.fingerprint == teacher.fingerprint:
        every = np.arange(student.size, dtype=np.int32)
        return SharedSymbols(every, every)
    found = match(teacher, student).ids_V
    for frame in ("pad", "bos", "eot"):  # in this order, where one symbol is several of them
        found[getattr(student, frame)] = getattr(teacher, frame)
    ours = np.flatnonzero(found != NONE)
    _, first = np.unique(found[ours], return_index=True)
    ours = np.sort(ours[first])
    return SharedSymbols(ours.astype(np.int32), found[ours].astype(np.int32))
