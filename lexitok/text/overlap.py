"""Which tokens two vocabularies share: those of exactly the same bytes."""

import dataclasses

import numpy as np
from jaxtyping import Int

from lexitok.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Pairs of ids of the same bytes.

    Attributes:
      ids_a, ids_b: the pairs, by rising `ids_a`.
      tokens_a, tokens_b: tokens of text in each vocabulary, so many ids there are that could have a partner.
    """

    ids_a: Int[np.ndarray, "n"]
    ids_b: Int[np.ndarray, "n"]
    tokens_a: int
    tokens_b: int

    def __len__(self) -> int:
        return len(self.ids_a)


def overlap(a: Vocabulary, b: Vocabulary) -> Overlap:
    """The tokens of `a` whose bytes a token of `b` has. Specials have no bytes and no partner here.

    Where several ids of `b` have the same bytes, the one that text has is taken (`Vocabulary.ids_of_bytes`).
    """
    of_b = {token: ids[0] for token, ids in b.ids_of_bytes.items()}
    pairs = [(i, of_b[token]) for i, token in enumerate(a.token_bytes) if token in of_b]
    ids = np.array(pairs, np.int32).reshape(-1, 2)
    return Overlap(ids[:, 0], ids[:, 1], sum(map(bool, a.token_bytes)), sum(map(bool, b.token_bytes)))
