"""What a loss between two models is."""

import dataclasses
from collections.abc import Callable
from typing import Any

from flax import nnx

from lexitok.distill.pair import Compared, Pair


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss between a student and its teacher.

    Attributes:
      compare: what it compares, and what comes of it: from a pair, and from its parameters where it has any.
      beginnings: whether it looks at the mass of symbols that begin something new (`lexitok.distill.beginnings`).
      vocabularies: whether it looks at what symbols stand for; then it is of no use where each batch has others.
      text: whether it is about the text alone, and looks at no teacher.
      hidden: whether it looks at the teacher's hidden states, and not at its predictions alone.
      parameters: makes what it learns beside the student, from keys and the widths of the student's and the teacher's
        hidden states; None: nothing.
    """

    compare: Callable[..., Compared]
    beginnings: bool = False
    vocabularies: bool = True
    text: bool = False
    hidden: bool = False
    parameters: Callable[[nnx.Rngs, int, int], Any] | None = None

    def __call__(self, pair: Pair, parameters: Any = None) -> Compared:
        return self.compare(pair) if self.parameters is None else self.compare(pair, parameters)
