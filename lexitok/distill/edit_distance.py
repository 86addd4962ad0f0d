"""Which symbol of another vocabulary spells most like one's own."""

from typing import Any, cast

import numpy as np
from jaxtyping import Int
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from lexitok.distill.kept_maps import kept_map
from lexitok.distill.shared_symbols import SharedSymbols, shared_symbols
from lexitok.text.vocabulary import Vocabulary

_AT_ONCE = 256  # tokens whose distances to all others are held


def nearest_by_edits(student: Vocabulary, teacher: Vocabulary) -> Int[np.ndarray, "V"]:
    """For each of the teacher's ids the student's that the fewest edits of bytes make of it; -1: a special of no role.

    What both have is itself. Among equally near tokens it is the one that is first in the order of bytes. It is found
    once for two vocabularies, and kept (`lexitok.distill.kept_maps`).

    Raises:
      MatchError: the vocabularies share nothing.
    """
    shared = shared_symbols(student, teacher)  # refuses what shares nothing
    return kept_map("nearest-by-edits-1", student, teacher, lambda: _nearest(student, teacher, shared))


def _nearest(student: Vocabulary, teacher: Vocabulary, shared: SharedSymbols) -> Int[np.ndarray, "V"]:
    found = np.full(teacher.size, -1, np.int32)
    found[shared.teacher] = shared.student
    ours = sorted((token, ids[0]) for token, ids in student.ids_of_bytes.items())
    spelled, ids = [_text(token) for token, _ in ours], np.array([i for _, i in ours], np.int32)
    missing = [i for i, token in enumerate(teacher.token_bytes) if token and found[i] < 0]
    for start in range(0, len(missing), _AT_ONCE):
        some = missing[start : start + _AT_ONCE]
        texts: list[Any] = [_text(teacher.token_bytes[i]) for i in some]
        of = process.cdist(texts, spelled, scorer=cast(Any, Levenshtein.distance), dtype=np.uint16)
        found[some] = ids[np.argmin(of, axis=1)]
    return found


def _text(token: bytes) -> str:
    return token.decode("latin-1")  # a character a byte
