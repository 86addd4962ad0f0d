"""Symbols that begin something new, by which the end of what came before is known (arXiv 2503.20083, section 3.2)."""

import numpy as np
from jaxtyping import Int

from lexitok.text.vocabulary import Vocabulary

SPACES = b" \t\n\r"
GOES_ON, BEGINS = 0, 1


def beginnings(vocabulary: Vocabulary) -> Int[np.ndarray, "V"]:
    """`BEGINS` for tokens whose first byte is a space, tab or line break and for specials; `GOES_ON` for the others.

    The probability of a token is not that of its bytes: what comes next may still go on with them. Times the mass of
    what begins something new, it is that of the bytes as the end of a word.
    """
    groups = np.full(vocabulary.size, GOES_ON, np.int32)
    for i, token in enumerate(vocabulary.token_bytes):
        if not token or token[0] in SPACES:
            groups[i] = BEGINS
    return groups
