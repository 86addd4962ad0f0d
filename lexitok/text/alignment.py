"""Two tokenisations of one text, span by span: where their byte offsets coincide, a span ends.

Offsets are of the raw text, so nothing has to be made equal first: a space that one tokenizer puts in front, a text
that it normalises and a character that it splits change what its tokens are, and not where the text's bytes end.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Int

from lexitok.text.vocabulary import Vocabulary

NONE = -1  # the span of a token that has none
TEXT = 0  # the class of tokens that are text


@dataclasses.dataclass(frozen=True)
class TokenEnds:
    """What an alignment has to know of one tokenisation.

    Attributes:
      ends: where each token ends, in bytes of the raw text; a token of no bytes ends where the one before it does.
      classes: `TEXT`, or for a special what it is: specials are aligned with those of their own class.
    """

    ends: Int[np.ndarray, "n"]
    classes: Int[np.ndarray, "n"]

    @classmethod
    def of(cls, ids: Int[np.ndarray, "n"], nbytes: Int[np.ndarray, "n"], vocabulary: Vocabulary) -> "TokenEnds":
        """Of an encoding, with `bos` and `eot` of the vocabulary where it has been given them.

        Args:
          ids: tokens.
          nbytes: raw bytes that each stands for; none for specials.
          vocabulary: theirs.
        """
        return cls(np.cumsum(nbytes, dtype=np.int64), classes_of(vocabulary)[ids])


def classes_of(vocabulary: Vocabulary) -> Int[np.ndarray, "V"]:
    """The class of every id: `TEXT`, 1 for `bos`, 2 for what ends a text or a turn, 3 for any other special.

    `eot` goes before `bos`. Some chats end turns with `eot`, others with a special of its own.
    """
    classes = np.zeros(vocabulary.size, np.int32)
    classes[sorted(vocabulary.specials)] = 3
    classes[vocabulary.bos] = 1
    classes[[vocabulary.eot, vocabulary.roles.get("turn_end", vocabulary.eot)]] = 2
    return classes


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Spans of two tokenisations `a` and `b`, in the order of the text; specials come behind those of text.

    Attributes:
      of_a, of_b: each token's span; `NONE` for a special that the other side has not got there, and for what comes
        after the last offset that both have.
      ends: where each span of text ends, in bytes of the raw text; all but the first begin where another ends.
      count: spans, those of specials included.
    """

    of_a: Int[np.ndarray, "n"]
    of_b: Int[np.ndarray, "m"]
    ends: Int[np.ndarray, "text"]
    count: int

    @functools.cached_property
    def tokens_of_a(self) -> Int[np.ndarray, "count"]:
        """How many tokens of `a` each span has."""
        return np.bincount(self.of_a[self.of_a != NONE], minlength=self.count)

    @functools.cached_property
    def tokens_of_b(self) -> Int[np.ndarray, "count"]:
        """How many tokens of `b` each span has."""
        return np.bincount(self.of_b[self.of_b != NONE], minlength=self.count)

    @property
    def one_to_one(self) -> Bool[np.ndarray, "count"]:
        """The spans that are a single token on both sides."""
        return (self.tokens_of_a == 1) & (self.tokens_of_b == 1)


def align(a: TokenEnds, b: TokenEnds) -> Alignment:
    """The finest spans that both tokenisations have, in time linear in their tokens.

    A token of text without bytes (a space that was put in front, say) is part of the span that begins there, or of
    the last one where none does. Specials at one offset are matched class by class, in their order; a `bos` on one side
    alone is in no span.

    Args:
      a, b: of the same raw text. One may end earlier than the other: what is left over is in no span.

    Raises:
      ValueError: ends that go backwards; names the side and the place.
    """
    closing_a, closing_b = (_closes(side, name) for side, name in ((a, "a"), (b, "b")))
    ends = _common(a.ends[closing_a], b.ends[closing_b])
    of_a, of_b = _text_spans(a, closing_a, ends), _text_spans(b, closing_b, ends)
    specials = _match_specials(a, b, of_a, of_b, len(ends))
    return Alignment(of_a, of_b, ends, len(ends) + specials)


def _closes(side: TokenEnds, name: str) -> np.ndarray:
    """Which tokens are text with bytes, that ends where they end."""
    steps = side.ends.copy()
    steps[1:] -= side.ends[:-1]
    if len(steps) and steps.min() < 0:
        back = int(np.argmax(steps < 0))
        raise ValueError(f"token {back} of {name} ends at byte {side.ends[back]}, before the one before it")
    return (side.classes == TEXT) & (steps > 0)


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What is in both of two rising sequences."""
    if not len(b):
        return b
    return a[b[np.minimum(np.searchsorted(b, a), len(b) - 1)] == a]


def _text_spans(side: TokenEnds, closes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    last = len(ends) - 1
    own = np.searchsorted(ends, side.ends, "left")
    span = np.where(own > last, NONE, own)
    if not closes.all():
        following = np.minimum(np.searchsorted(ends, side.ends, "right"), last)
        span = np.where(side.classes == TEXT, np.where(closes, span, following), NONE)
    return span.astype(np.int32)


def _match_specials(a: TokenEnds, b: TokenEnds, of_a: np.ndarray, of_b: np.ndarray, first: int) -> int:
    """Gives the specials that both sides have spans from `first` on; returns how many these are."""
    at_a, keys_a = _special_keys(a)
    at_b, keys_b = _special_keys(b)
    known = {key: i for i, key in zip(at_a.tolist(), keys_a, strict=True)}
    pairs = sorted((known[key], i) for i, key in zip(at_b.tolist(), keys_b, strict=True) if key in known)
    for span, (i, j) in enumerate(pairs, first):
        of_a[i] = of_b[j] = span
    return len(pairs)


def _special_keys(side: TokenEnds) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Where specials are; and offset, class and how many of that class there were at that offset before."""
    at = np.flatnonzero(side.classes != TEXT)
    seen: dict[tuple[int, int], int] = {}
    keys = []
    for end, kind in zip(side.ends[at].tolist(), side.classes[at].tolist(), strict=True):
        number = seen.get((end, kind), 0)
        seen[end, kind] = number + 1
        keys.append((end, kind, number))
    return at, keys
