"""Which tokens of a new vocabulary are tokens of the old one: those of exactly the same bytes, and specials by role."""

import dataclasses
import itertools
from collections.abc import Collection, Mapping

import numpy as np
from jaxtyping import Int

from lexitok.text.vocabulary import Vocabulary

NONE = -1
_SHOWN = 5  # of the ids that an error names


class MatchError(ValueError):
    """Vocabularies that do not go together; the message says why."""


@dataclasses.dataclass(frozen=True)
class Match:
    """What of the target's ids the source has.

    Attributes:
      ids_V: int32 `[V_target]`, the source's id whose row an id takes over; `NONE`: there is none.
      new: the ids of text without one, rising.
      unmatched: the specials, and ids that are never used, without one, rising.
    """

    ids_V: Int[np.ndarray, "V"]
    new: Int[np.ndarray, "n"]
    unmatched: Int[np.ndarray, "m"]


def match(source: Vocabulary, target: Vocabulary, specials: Mapping[int, int] | None = None) -> Match:
    """The source's id of every id of the target.

    A token of text takes that of its bytes. Single bytes may have two ids, a piece and a token of byte fallback: the
    piece goes with the piece, which text is made of, and the other with the other; where a side has only one, it goes
    with the piece. A special takes the one that is named for it, or that of the same role (`lexitok.text.roles`), or of
    the same spelling.

    Args:
      source, target: the vocabularies.
      specials: from specials of the target to ids of the source, where roles and spellings say nothing or the wrong.

    Raises:
      MatchError: the vocabularies share no token of text; several ids of the target have the same bytes; a special
        that is named is none, or its id is outside the source.
    """
    return Matcher(source)(target, specials)


class Matcher:
    """Matches one target after the other with a source, as `match` does."""

    def __init__(self, source: Vocabulary):
        self._source, self._of_bytes = source, source.ids_of_bytes
        self._first = {token: ids[0] for token, ids in self._of_bytes.items()}

    def __call__(self, target: Vocabulary, specials: Mapping[int, int] | None = None) -> Match:
        """See `match`."""
        source, none = self._source, itertools.repeat(NONE)
        ids = np.fromiter(map(self._first.get, target.token_bytes, none), np.int32, target.size)
        for token, own in _of_several_ids(target).items():
            if len(token) > 1:
                raise MatchError(f"the target's ids {list(own[:_SHOWN])} all stand for {token!r}: which is to be used?")
            theirs = self._of_bytes.get(token, ())
            for number, i in enumerate(own[: len(own) if theirs else 0]):
                ids[i] = theirs[min(number, len(theirs) - 1)]
        if (ids == NONE).all():
            raise MatchError("the tokenizers share no token: nothing of the model's table can be taken over")
        for i, other in {**_by_name(source, target), **_by_role(source, target), **(specials or {})}.items():
            if i not in target.specials or not 0 <= other < source.size:
                raise MatchError(
                    f"special {i} -> {other}: {i} is to be a special of the target, and {other} an id below "
                    f"{source.size}"
                )
            ids[i] = other
        missing = np.flatnonzero(ids == NONE)
        text = target.lengths[missing] > 0
        return Match(ids, missing[text].astype(np.int32), missing[~text].astype(np.int32))


def match_by_id(source: Vocabulary, target: Vocabulary, added: Collection[int]) -> Match:
    """The match of a vocabulary that was made of another: all ids are the source's own, but for those of new tokens.

    Ids that the target has and does not use any more are matched, too: nothing changes where a row stays.

    Args:
      source, target: the vocabularies.
      added: ids of the target's new tokens.

    Raises:
      MatchError: an id that is not among the added is another token in the target, or is not there.
    """
    ids = np.arange(target.size, dtype=np.int32)
    ids[[*added]] = NONE
    ids[source.size :] = NONE
    for i in np.flatnonzero(ids != NONE).tolist():
        ours, theirs = target.token_bytes[i], source.token_bytes[i]
        if ours and ours != theirs:
            raise MatchError(f"id {i} is {theirs!r} in the source and {ours!r} in the target, and no added token")
    if target.size < source.size:
        raise MatchError(f"the target has {target.size} ids, fewer than the source's {source.size}")
    missing = np.flatnonzero(ids == NONE)
    text = target.lengths[missing] > 0
    return Match(ids, missing[text].astype(np.int32), missing[~text].astype(np.int32))


def _by_role(source: Vocabulary, target: Vocabulary) -> dict[int, int]:
    frames = {"eos": (source.eot, target.eot), "bos": (source.bos, target.bos)}
    found = {target.roles[role]: i for role, i in source.roles.items() if role in target.roles}
    return {theirs: ours for ours, theirs in frames.values()} | found


def _of_several_ids(vocabulary: Vocabulary) -> dict[bytes, tuple[int, ...]]:
    """The tokens that have several ids, and these."""
    tokens = vocabulary.token_bytes
    if len(set(tokens)) == len(tokens) - max(tokens.count(b"") - 1, 0):
        return {}
    return {token: ids for token, ids in vocabulary.ids_of_bytes.items() if len(ids) > 1}


def _by_name(source: Vocabulary, target: Vocabulary) -> dict[int, int]:
    named = {name: i for i, name in source.names.items()}
    return {i: named[name] for i, name in target.names.items() if name in named}
