r"""`aunet_words`, the pre-tokenisation rule of AU-Net (arXiv 2506.14761, appendix B):

    ( ?\p{L}{1,16})|\p{N}{1,3}| ?([^\s\p{L}\p{N}]){1,3}+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+

A unit is up to 16 letters, or up to three characters that are no letters, numbers or whitespace and the line breaks
behind them, either with one space (U+0020) before it; up to three numbers; or whitespace. The paper asks that what is
written later must not change where units start (section 2.2). Two alternatives of the expression break that, for they
look ahead in a run of whitespace. Here a start follows from the text up to and with the character that it stands
before, as if the last three alternatives were `[^\S\r\n]*[\r\n]+|[^\S\r\n]+`:
- `\s+(?!\S)` leaves the last character of a run of whitespace to what comes next ("a", "  ", " b" of "a   b"), which
  is not known at that character. Here a run of two or more characters is a unit ("a", "   ", "b"); one space alone
  joins the letters or marks behind it, as in the expression.
- `\s*[\r\n]` reaches to the last line break of a run of whitespace, whatever is between. Here whitespace behind a line
  break starts a unit ("\n", "  \n" of "\n  \n"); line breaks in a row stay together, with the whitespace before them.
A byte that is no part of valid UTF-8 is a mark. The published code takes a unit's vector at the first character of
the next match, whose place it knows from the whole text; here a unit is closed when the character after it is read.
"""

import functools

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from lexitok.text.splitters.unicode_tables import CharacterClass, word_properties

_LETTER, _NUMBER, _MARK, _BREAK, _SPACE, _WHITE = range(6)  # a mark is what none of the others is
_KINDS, _WIDTH = 6, 8
_LONGEST = {_LETTER: 16, _NUMBER: 3, _MARK: 3}

# What two kinds in a row say about a start before the second.
_JOINED, _START, _AFTER_SPACE = range(3)  # the last: start if the space is not the only whitespace of its unit


@functools.cache
def _kind_of_class() -> bytes:
    table = word_properties()
    hard = {table.class_of[ord(c)] for c in "\r\n"}  # CR and LF are each the only character of its class

    def kind(number: int, c: CharacterClass) -> int:
        if number in hard:
            return _BREAK
        if c.has("White_Space"):
            return _SPACE if c.has("Space") else _WHITE
        return _LETTER if c.has("L") else _NUMBER if c.has("N") else _MARK

    kinds = [kind(number, c) for number, c in enumerate(table.classes)]
    return bytes(kinds).ljust(256, bytes([_MARK]))


def _pair(a: int, b: int) -> int:
    if a == b or (b in (_SPACE, _WHITE) and a in (_SPACE, _WHITE)):
        return _JOINED
    if b == _BREAK:
        return _JOINED if a in (_MARK, _SPACE, _WHITE) else _START
    return _AFTER_SPACE if a == _SPACE and b in (_LETTER, _MARK) else _START


_PAIRS = [_pair(a, b) for a in range(_KINDS) for b in range(_WIDTH)]
_PAIR_TABLE = bytes(_PAIRS).ljust(256, b"\0")
_WHITE_PAIR = bytes(a in (_SPACE, _WHITE) and b == _SPACE for a in range(_KINDS) for b in range(_WIDTH)).ljust(
    256, b"\0"
)


class AunetWords:
    """The rule over arrays of character classes, and as a machine that reads one class at a time.

    Args:
      longest_number: numbers that a unit holds; 0 leaves runs of them whole, for a scheme of `digits` to cut.
    """

    name = "aunet_words"

    def __init__(self, longest_number: int = _LONGEST[_NUMBER]) -> None:
        self._longest = _LONGEST | {_NUMBER: longest_number}

    def starts(self, classes: UInt8[np.ndarray, "c"]) -> Bool[np.ndarray, "c"]:
        """Where units start."""
        starts = np.ones(len(classes), bool)
        if len(classes) < 2:
            return starts
        kinds = np.frombuffer(classes.tobytes().translate(_kind_of_class()), np.uint8)
        code = (kinds[:-1] * np.uint8(_WIDTH) + kinds[1:]).tobytes()
        pairs = np.frombuffer(code.translate(_PAIR_TABLE), np.uint8)
        in_white = np.frombuffer(code.translate(_WHITE_PAIR), np.uint8) == 1
        starts[1:] = pairs == _START
        starts[2:] |= (pairs[1:] == _AFTER_SPACE) & in_white[:-1]
        starts[_cuts(kinds, self._longest)] = True
        return starts

    def machine(self) -> "AunetWordsMachine":
        return AunetWordsMachine(self._longest)

    def digit_roles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Digits; what may stand before one in its unit; what may stand behind."""
        others = word_properties().mask(lambda c: c.has("N") and not c.has("Nd"))
        return word_properties().mask(lambda c: c.has("Nd")), others, others


def _cuts(kinds: UInt8[np.ndarray, "c"], longest: dict[int, int]) -> Int64[np.ndarray, "cuts"]:
    """Where runs of letters, numbers or marks are cut because they are too long."""
    edges = np.append(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1, len(kinds))
    lengths = np.diff(edges, prepend=0)
    limits = np.zeros(_WIDTH, np.int64)
    limits[list(longest)] = list(longest.values())
    limit = limits[kinds[edges - 1]]
    long = np.flatnonzero((limit > 0) & (lengths > limit))
    first, limit = edges[long] - lengths[long], limit[long]
    cuts = (lengths[long] - 1) // limit
    place = np.arange(cuts.sum()) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    return np.repeat(first, cuts) + (place + 1) * np.repeat(limit, cuts)


class AunetWordsMachine:
    """The rule, a character at a time."""

    def __init__(self, longest: dict[int, int]) -> None:
        self._longest = longest
        self._kind = _BREAK  # of the character before
        self._run = 0  # characters in a row of its kind
        self._white = 0  # whitespace in a row, line breaks aside

    def step(self, character: int) -> bool:
        """Reads the class of a character; returns whether a unit starts before it."""
        before, self._kind = self._kind, _kind_of_class()[character]
        first = not self._run
        self._run = self._run + 1 if self._kind == before else 1
        white, self._white = self._white, self._white + 1 if self._kind in (_SPACE, _WHITE) else 0
        limit = self._longest.get(self._kind, 0)
        if first or (limit and self._run > 1 and self._run % limit == 1 % limit):
            return True
        pair = _PAIRS[before * _WIDTH + self._kind]
        return pair == _START or (pair == _AFTER_SPACE and white > 1)
