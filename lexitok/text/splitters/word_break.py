"""The default word boundaries of Unicode (UAX #29, revision 41, section 4.1), over arrays of character classes.

The rules skip characters that are Extend, Format or ZWJ (WB4): such a character belongs to what is before it, unless
that is a hard break or the start of the text. So they are first taken out of the array, and the rest of the rules
look at neighbours, at three characters in a row, and at the position in a run of regional indicators.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from lexitok.text.splitters.unicode_tables import word_properties

AH_LETTER = frozenset(("ALetter", "Hebrew_Letter"))
_MID_WORD = frozenset(("MidLetter", "MidNumLet", "Single_Quote"))
_MID_NUMBER = frozenset(("MidNum", "MidNumLet", "Single_Quote"))
_JOINED_BY_UNDERSCORE = AH_LETTER | {"Numeric", "Katakana", "ExtendNumLet"}


def joins_neighbours(before: str, after: str) -> bool:
    """The rules on two Word_Break values in a row, ignorable characters skipped: WB5, 7a, 8, 9, 10, 13, 13a, 13b."""
    return (
        (before in AH_LETTER | {"Numeric"} and after in AH_LETTER | {"Numeric"})
        or (before == "Hebrew_Letter" and after == "Single_Quote")
        or (before == "Katakana" and after == "Katakana")
        or (before in _JOINED_BY_UNDERSCORE and after == "ExtendNumLet")
        or (before == "ExtendNumLet" and after in _JOINED_BY_UNDERSCORE)
    )


@dataclasses.dataclass(frozen=True)
class BreakTables:
    """The rules as arrays over class numbers."""

    ignorable: Bool[np.ndarray, "256"]
    hard: Bool[np.ndarray, "256"]
    cr: Bool[np.ndarray, "256"]
    lf: Bool[np.ndarray, "256"]
    zwj: Bool[np.ndarray, "256"]
    pictographic: Bool[np.ndarray, "256"]
    space: Bool[np.ndarray, "256"]  # WSegSpace
    indicator: Bool[np.ndarray, "256"]  # Regional_Indicator
    joins: Bool[np.ndarray, "256 256"]  # joins_neighbours
    triples: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]  # WB6+7, 7b+7c, 11+12: outer, middle, outer

    def joins_triple(self, first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> Bool[np.ndarray, "c"]:
        """Whether a middle character holds its two neighbours together."""
        out = np.zeros(len(middle), bool)
        for a, b, c in self.triples:
            out |= a[first] & b[middle] & c[last]
        return out


@functools.cache
def break_tables() -> BreakTables:
    """The tables for the classes of `word_properties`."""
    table = word_properties()

    def of(*values: str) -> np.ndarray:
        return table.mask(lambda c: c.word_break in values)

    joins = np.zeros((256, 256), bool)
    for i, before in enumerate(table.classes):
        for j, after in enumerate(table.classes):
            joins[i, j] = joins_neighbours(before.word_break, after.word_break)
    letters, numbers, hebrew = of(*AH_LETTER), of("Numeric"), of("Hebrew_Letter")
    return BreakTables(
        ignorable=table.mask(lambda c: c.ignorable),
        hard=table.mask(lambda c: c.hard),
        cr=of("CR"),
        lf=of("LF"),
        zwj=of("ZWJ"),
        pictographic=table.mask(lambda c: c.has("Extended_Pictographic")),
        space=of("WSegSpace"),
        indicator=of("Regional_Indicator"),
        joins=joins,
        triples=(
            (letters, of(*_MID_WORD), letters),
            (hebrew, of("Double_Quote"), hebrew),
            (numbers, of(*_MID_NUMBER), numbers),
        ),
    )


@dataclasses.dataclass(frozen=True)
class Kept:
    """The characters that are left when the ignorable ones are skipped (WB4).

    Attributes:
      at: their indices among all characters.
      classes: their classes. An ignorable character with nothing to belong to is kept, as `other`.
    """

    at: Int64[np.ndarray, "k"]
    classes: UInt8[np.ndarray, "k"]


def skip_ignorable(classes: UInt8[np.ndarray, "c"]) -> Kept:
    """Takes the characters out that belong to the one before them."""
    tables = break_tables()
    ignorable = tables.ignorable[classes]
    keep = ~ignorable
    keep[:1] = True
    keep[1:] |= tables.hard[classes[:-1]]
    at = np.flatnonzero(keep)
    return Kept(at, np.where(ignorable[at], np.uint8(word_properties().other), classes[at]))


def second_of_pair(kept: UInt8[np.ndarray, "k"]) -> Bool[np.ndarray, "k"]:
    """Which characters are the second regional indicator of a flag (WB15, WB16)."""
    indicator = break_tables().indicator[kept]
    index = np.arange(len(kept))
    before_run = np.maximum.accumulate(np.where(indicator, -1, index)) if len(kept) else index
    return indicator & ((index - before_run) % 2 == 0)


def word_starts(classes: UInt8[np.ndarray, "c"]) -> Bool[np.ndarray, "c"]:
    """Where the words of UAX #29 start, by the classes of the characters (`characters(data).classes`).

    These rules look one character ahead (WB6, 7b, 12), so they cannot be used on a text that is still being written.
    """
    tables = break_tables()
    starts = np.zeros(len(classes), bool)
    if not len(classes):
        return starts
    kept = skip_ignorable(classes)
    q = kept.classes
    before, after = q[:-1], q[1:]
    next_to = np.diff(kept.at) == 1
    joined = tables.joins[before, after]
    joined |= next_to & tables.space[before] & tables.space[after]  # WB3d
    joined |= next_to & tables.cr[before] & tables.lf[after]  # WB3
    joined |= tables.zwj[classes[kept.at[1:] - 1]] & tables.pictographic[after]  # WB3c
    joined |= second_of_pair(q)[1:]
    held = tables.joins_triple(q[:-2], q[1:-1], q[2:])
    joined[:-1] |= held
    joined[1:] |= held
    starts[kept.at[1:]] = ~joined
    starts[0] = True
    return starts
