"""What a loss between two models is."""

import dataclasses
from collections.abc import Callable

from lexitok.distill.pair import Compared, Pair


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss between a student and its teacher.

    Attributes:
      compare: what it compares, and what comes of it.
      beginnings: whether it looks at the mass of symbols that begin something new (`lexitok.distill.beginnings`).
    """

    compare: Callable[[Pair], Compared]
    beginnings: bool = False
