"""How many bytes somebody counted each token for, and which miscount says the same."""

import collections
import dataclasses
from collections.abc import Iterable

import numpy as np

from lexitok.text.audit.logs import TokenLog
from lexitok.text.audit.miscounts import MISCOUNTS
from lexitok.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Claims:
    """What was said of tokens of text.

    Attributes:
      tokens, nbytes: of which it was said, and how many bytes in all.
      exact: bytes that these tokens stand for.
      differing: tokens that stand for another number of bytes.
      first: of these the first: its document's number, its place among the tokens of text, its id, what was said, and
        how many there are.
      explained: by miscount, how many of those that differ it says the same of; only of those that say the same of all
        others as well, or, where none does, of all.
    """

    tokens: int
    nbytes: int
    exact: int
    differing: int
    first: tuple[int, int, int, int, int] | None
    explained: dict[str, int]


def check_claims(vocabulary: Vocabulary, logs: Iterable[tuple[int, TokenLog]]) -> Claims | None:
    """Holds what logs of documents, by their number, say against what tokens stand for; None where they say nothing."""
    said = [(number, log.ids, log.nbytes) for number, log in logs if log.nbytes is not None]
    if not said:
        return None
    lengths, miscounted = vocabulary.lengths, {name: way.lengths(vocabulary) for name, way in MISCOUNTS.items()}
    first, explained, contradicted = None, collections.Counter[str](), set[str]()
    tokens = nbytes = exact = differing = 0
    for number, ids, counted in said:
        wrong = counted != lengths[ids]
        tokens, nbytes, exact = tokens + len(ids), nbytes + int(counted.sum()), exact + int(lengths[ids].sum())
        differing += int(wrong.sum())
        if first is None and wrong.any():
            at = int(np.argmax(wrong))
            first = number, at, int(ids[at]), int(counted[at]), int(lengths[ids[at]])
        for name, of_id in miscounted.items():
            same = counted == of_id[ids]
            explained[name] += int((same & wrong).sum())
            contradicted |= set() if same[~wrong].all() else {name}
    consistent = {name: n for name, n in explained.most_common() if n and name not in contradicted}
    return Claims(
        tokens, nbytes, exact, differing, first, consistent or {n: k for n, k in explained.most_common() if k}
    )
