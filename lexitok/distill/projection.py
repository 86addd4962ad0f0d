"""What a student's symbols are in a teacher's: a sparse matrix, from the two vocabularies (arXiv 2605.21699)."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from lexitok.data.encoders import Encoder, SubwordEncoder
from lexitok.distill.shared_symbols import shared_symbols
from lexitok.text.parts import parts_of

LONGEST = 4  # parts of a symbol that count
DECAY = 0.1  # of a part's weight over that of the one before it


@dataclasses.dataclass(frozen=True)
class Projection:
    """The entries of a matrix of the student's symbols by the teacher's; of other pairs it is 0.

    Attributes:
      student, teacher: ids of each entry, by rising ids of the student.
      weights: float32; those of a symbol of text sum to 1.
    """

    student: Int[np.ndarray, "n"]
    teacher: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n"]


def projection(student: Encoder, teacher: Encoder) -> Projection:
    """Symbols that both have are one another; others are the first parts that the teacher's tokenizer makes of them.

    Of parts each weighs a tenth of the one before it, four of them at most: in a sequence it is the first of them that
    is predicted in the symbol's place.

    Raises:
      MatchError: the vocabularies share nothing, or the teacher's tokens do not spell one of the student's.
    """
    shared = shared_symbols(student.vocabulary, teacher.vocabulary)
    partner = shared.teacher_of(student.vocabulary.size)
    tokens = student.vocabulary.token_bytes
    others = [i for i, token in enumerate(tokens) if token and partner[i] < 0]
    parts = _parts([tokens[i] for i in others], teacher)
    rows = [np.full(min(len(ids), LONGEST), i) for i, ids in zip(others, parts, strict=True)]
    weights = [_weights(len(row)) for row in rows]
    ids = np.concatenate([shared.student, *rows]).astype(np.int32)
    columns = np.concatenate([shared.teacher, *(p[:LONGEST] for p in parts)]).astype(np.int32)
    values = np.concatenate([np.ones(len(shared.student)), *weights]).astype(np.float32)
    order = np.argsort(ids, kind="stable")
    return Projection(ids[order], columns[order], values[order])


def _weights(parts: int) -> np.ndarray:
    weights = DECAY ** np.arange(parts)
    return weights / weights.sum()


def _parts(tokens: list[bytes], teacher: Encoder) -> list[np.ndarray]:
    if isinstance(teacher, SubwordEncoder):
        found = parts_of(tokens, teacher.tokenizer)
        return [found.ids[a:b] for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]
    of_byte = {token[0]: ids[0] for token, ids in teacher.vocabulary.ids_of_bytes.items() if len(token) == 1}
    return [np.array([of_byte[byte] for byte in token], np.int32) for token in tokens]
