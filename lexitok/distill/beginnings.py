"""Symbols that begin something new, by which the end of what came before is known (arXiv 2503.20083, section 3.2)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lexitok.data.spelling import Spelling
from lexitok.text.matching import NONE
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


def beginnings_of_spelled(spelling: Spelling, source: Vocabulary) -> Int[Array, "V"]:
    """As `beginnings`, of a vocabulary that is spelled in tokens of another: by the first of them."""
    first_V = spelling.parts_VxP[:, 0]
    of_source = jnp.asarray(beginnings(source))[jnp.maximum(first_V, 0)]
    return jnp.where(first_V == NONE, BEGINS, of_source)
