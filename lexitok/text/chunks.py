"""Text in chunks of random length, of which tokens are learnt that span words: supertokens.

TokenAdapt's authors (arXiv 2505.09738) learn tokens of several words in one pass, as any BPE: what it sees is not cut
at words but into chunks of random length, and a token can reach over the end of a word as long as it does not over that
of a chunk. Lengths are nearly normal, as those of their published settings: 4 to 23 characters, 13 on the average.
"""

from collections.abc import Iterable, Iterator

import numpy as np

SHORTEST_CHUNK, LONGEST_CHUNK = 4, 23
_MEAN, _DEVIATION = 13.0, 4.5
_DRAWN = 4096  # lengths at once


def random_chunks(texts: Iterable[str], seed: int = 0) -> Iterator[str]:
    """Each text in chunks whose lengths, in characters, are drawn; the last one of a text may be shorter."""
    lengths = _lengths(np.random.default_rng(seed))
    for text in texts:
        at = 0
        while at < len(text):
            end = at + next(lengths)
            yield text[at:end]
            at = end


def _lengths(rng: np.random.Generator) -> Iterator[int]:
    while True:
        drawn = np.rint(rng.normal(_MEAN, _DEVIATION, _DRAWN)).astype(np.int64)
        yield from drawn[(drawn >= SHORTEST_CHUNK) & (drawn <= LONGEST_CHUNK)].tolist()
