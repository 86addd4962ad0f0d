"""`unicode_words`, the rule of the published HATs, from its description in six steps.

1. The text is cut at the default word boundaries of UAX #29.
2. It is cut after every punctuation character (`\\p{P}`).
3. It is cut between a lower-case and an upper-case letter (`\\p{Ll}`, `\\p{Lu}`).
4. A piece is a Space (exactly one U+0020), a Whitespace (any other piece of only whitespace, so also a run of
   spaces), a Punct (exactly one punctuation character) or a Word.
5. A Word joins the unit before it if that ends in a Space; a Punct if that ends in a Space, a Word or a Punct.
6. Everything else starts a unit.

Whether a unit starts before a character must follow from the text up to and with that character, for a model writes
the text one byte at a time. The lookahead of UAX #29 ("3.14" is one word) does no harm: the marks that it is about are
punctuation, which step 2 cuts after and step 5 joins either way. Two things are not so in the six steps, and are
changed here:
- U+2044 FRACTION SLASH is the one such mark that is no punctuation ("1⁄" has two words, "1⁄2" one). It is held for a
  mere symbol, as the other mathematical symbols are: "1", "⁄", "2".
- A piece that starts with whitespace may still become a Word (a no-break space with an accent; U+202F before a
  letter), and would then join a Space before it. It never joins it here.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, UInt8

from lexitok.text.splitters.unicode_tables import CharacterClass, word_properties
from lexitok.text.splitters.word_break import AH_LETTER, break_tables, joins_neighbours, second_of_pair

# What a pair of neighbours says about a start before the second. None of the bits: no start.
_START = 1
_AFTER_SPACE = 2  # the first is U+0020: start if that ends a run of spaces
_SPACES = 4  # no start, and both are spaces
_FLAGS = 8  # two regional indicators: start if the first is the second of a flag
_AFTER_NARROW_SPACE = 16  # the first is U+202F, the second punctuation: start if the piece before is only whitespace
_AFTER_IGNORABLE = 32  # ask for the pair of the second and what the first belongs to
_LEADING = 64  # the second is ignorable (WB4), and there is nothing that it could belong to
_SKIPPED = 128  # the second is ignorable, and belongs to what is before it
_UNCOMMON = _FLAGS | _AFTER_NARROW_SPACE | _AFTER_IGNORABLE

# What a character and the last one that is not ignorable say, if there are ignorable ones between. 0: a start.
_JOINED = 1
_IF_TRIPLE = 2  # no start if the three last that are not ignorable belong together
_IF_ZWJ = 4  # no start if the character directly before is ZWJ
_IF_FLAG = 8  # no start if the character is the second of a flag

_WIDTH = 64  # more than there are classes


def _is_narrow_space(c: CharacterClass) -> bool:
    return c.word_break == "ExtendNumLet" and c.has("White_Space")


def _pair(a: CharacterClass, b: CharacterClass) -> int:
    if a.word_break == "CR" and b.word_break == "LF":
        return 0
    if b.ignorable:
        return _START | _LEADING if a.hard else _START | _SKIPPED if a.has("P") else _SKIPPED
    if a.ignorable:
        return _AFTER_IGNORABLE
    if a.word_break == b.word_break == "WSegSpace":
        return _SPACES
    if a.word_break == b.word_break == "Regional_Indicator":
        return _FLAGS
    cut = not joins_neighbours(a.word_break, b.word_break) or a.has("P") or (a.has("Ll") and b.has("Lu"))
    if not cut:
        return 0
    if a.has("Space"):
        return _START if b.has("White_Space") else _AFTER_SPACE
    if b.has("P"):
        return _AFTER_NARROW_SPACE if _is_narrow_space(a) else _START if a.has("White_Space") else 0
    return _START


def _distant_pair(a: CharacterClass, b: CharacterClass) -> int:
    if b.has("P") or joins_neighbours(a.word_break, b.word_break):
        return _JOINED
    flag = a.word_break == b.word_break == "Regional_Indicator"
    # All middle characters of WB7, 7c and 11 are punctuation, but U+2044, which is held for a symbol.
    triple = a.has("P") and b.word_break in AH_LETTER | {"Numeric"}
    return _IF_TRIPLE * triple | _IF_ZWJ * b.has("Extended_Pictographic") | _IF_FLAG * flag


@functools.cache
def _table(rule: Callable[[CharacterClass, CharacterClass], int]) -> UInt8[np.ndarray, "4096"]:
    out = np.zeros((_WIDTH, _WIDTH), np.uint8)
    for i, a in enumerate(word_properties().classes):
        for j, b in enumerate(word_properties().classes):
            out[i, j] = rule(a, b)
    return out.ravel()


def _look_up(table: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    index = before.astype(np.uint16)
    index *= _WIDTH
    index += after
    return table.take(index)


class UnicodeWords:
    """The rule over arrays of character classes, and as a machine that reads one class at a time."""

    name = "unicode_words"

    def starts(self, classes: UInt8[np.ndarray, "c"]) -> Bool[np.ndarray, "c"]:
        """Where units start."""
        pairs = np.zeros(len(classes), np.uint8)
        starts = np.ones(len(classes), bool)
        if len(classes) < 2:
            return starts
        pairs[1:] = _look_up(_table(_pair), classes[:-1], classes[1:])
        in_spaces = pairs[:-1] & _SPACES
        in_spaces >>= 1
        in_spaces &= pairs[1:]  # now _AFTER_SPACE or 0
        in_spaces >>= 1
        in_spaces |= pairs[1:]
        in_spaces &= _START
        starts[1:] = in_spaces
        if (pairs & _UNCOMMON).any():
            _resolve_uncommon(classes, pairs, starts)
        return starts

    def machine(self) -> "UnicodeWordsMachine":
        return UnicodeWordsMachine()

    def digit_roles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Digits; what may stand before one in its unit; what may stand behind."""
        table = word_properties()
        return (
            table.mask(lambda c: c.has("Nd")),
            table.mask(lambda c: c.has("Space")),
            table.mask(lambda c: c.has("P") or c.ignorable),
        )


def _resolve_uncommon(classes: np.ndarray, pairs: np.ndarray, starts: np.ndarray) -> None:
    at = (pairs < _SKIPPED).nonzero()[0]
    kept_pairs = pairs.take(at)
    kept = classes.take(at)
    kept[(kept_pairs & _LEADING) != 0] = word_properties().other
    if break_tables().ignorable[kept[0]]:
        kept[0] = word_properties().other
    j = (kept_pairs & _AFTER_IGNORABLE).nonzero()[0]
    distant = _look_up(_table(_distant_pair), kept.take(j - 1), kept.take(j))
    starts[at.take(j)] = distant == 0
    if (distant > _JOINED).any():
        _resolve_distant(classes, at, kept, j[distant > _JOINED], distant[distant > _JOINED], starts)
    flags = (kept_pairs & _FLAGS).nonzero()[0]
    if len(flags):
        starts[at[flags]] = ~second_of_pair(kept)[flags]
    narrow = word_properties().mask(_is_narrow_space)
    for i in (pairs & _AFTER_NARROW_SPACE).nonzero()[0].tolist():
        first = i - 1
        while narrow[classes[first]] and not starts[first]:
            first -= 1
        starts[i] = narrow[classes[first]]


def _resolve_distant(
    classes: np.ndarray, at: np.ndarray, kept: np.ndarray, j: np.ndarray, distant: np.ndarray, starts: np.ndarray
) -> None:
    tables = break_tables()
    triple = tables.joins_triple(kept[np.maximum(j - 2, 0)], kept[j - 1], kept[j]) & (j >= 2)
    joined = ((distant & _IF_TRIPLE) != 0) & triple
    joined |= ((distant & _IF_ZWJ) != 0) & tables.zwj[classes[at[j] - 1]]
    if (distant & _IF_FLAG).any():
        joined |= ((distant & _IF_FLAG) != 0) & second_of_pair(kept)[j]
    starts[at[j]] = ~joined


class UnicodeWordsMachine:
    """The rule, a character at a time."""

    def __init__(self) -> None:
        self._tables = break_tables()
        self._other = word_properties().other
        self._narrow = word_properties().mask(_is_narrow_space)
        self._previous = -1  # class of the character before
        self._base = self._base2 = self._other  # of the last two that are not ignorable
        self._indicators = 0  # regional indicators in a row, ignorable characters skipped
        self._spaces = False  # the character before and the one before that are both spaces
        self._blank = False  # the open piece is only U+202F

    def step(self, character: int) -> bool:
        """Reads the class of a character; returns whether a unit starts before it."""
        pair = _START | _LEADING
        if self._previous >= 0:
            pair = int(_table(_pair)[self._previous * _WIDTH + character])
        start = self._starts(pair, character)
        if not pair & _SKIPPED:
            self._base2, self._base = self._base, self._other if self._tables.ignorable[character] else character
            self._indicators = self._indicators + 1 if self._tables.indicator[character] else 0
        self._spaces = pair == _SPACES
        self._blank = bool(self._narrow[character]) and (start or self._blank)
        self._previous = character
        return start

    def _starts(self, pair: int, character: int) -> bool:
        if pair == _AFTER_SPACE:
            return self._spaces
        if pair == _FLAGS:
            return self._indicators % 2 == 0
        if pair == _AFTER_NARROW_SPACE:
            return self._blank
        if pair == _AFTER_IGNORABLE:
            return not self._joins_after_ignorable(character)
        return bool(pair & _START)

    def _joins_after_ignorable(self, character: int) -> bool:
        distant = int(_table(_distant_pair)[self._base * _WIDTH + character])
        return bool(
            distant & _JOINED
            or (distant & _IF_ZWJ and self._tables.zwj[self._previous])
            or (distant & _IF_FLAG and self._indicators % 2 == 1)
            or (
                distant & _IF_TRIPLE
                and any(a[self._base2] and b[self._base] and c[character] for a, b, c in self._tables.triples)
            )
        )
