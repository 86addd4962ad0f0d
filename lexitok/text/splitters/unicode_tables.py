"""The Unicode properties that the splitters need, as one small class number per code point.

Two code points are in one class if they have the same Word_Break value and agree in every other property that a
splitter asks for. There are about 40 classes, so a pair of neighbours is an index into a small table. The data is
`lexitok/text/data/word_properties.txt`, made by `make_tables.py`; the interpreter's own `unicodedata` is not used,
because its Unicode version changes with the interpreter and it lacks Word_Break.
"""

import dataclasses
import functools
from collections.abc import Callable
from importlib import resources

import numpy as np
from jaxtyping import Bool, UInt8

UNICODE_VERSION = "15.0.0"
CODE_POINTS = 0x110000

IGNORABLE = frozenset(("Extend", "Format", "ZWJ"))  # WB4
HARD = frozenset(("CR", "LF", "Newline"))  # WB3a, WB3b


@dataclasses.dataclass(frozen=True, order=True)
class CharacterClass:
    """What the code points of a class have in common.

    Attributes:
      word_break: the Word_Break value; Format is merged into Extend, which no rule tells apart.
      properties: those of `L`, `Ll`, `Lu`, `N`, `Nd`, `P` (general category), `White_Space`, `Extended_Pictographic`
        that hold, sorted; and `Space` for U+0020.
    """

    word_break: str
    properties: tuple[str, ...]

    def has(self, name: str) -> bool:
        return name in self.properties

    @property
    def ignorable(self) -> bool:
        return self.word_break in IGNORABLE

    @property
    def hard(self) -> bool:
        return self.word_break in HARD


@dataclasses.dataclass(frozen=True)
class WordProperties:
    """The class of every code point, and what each class is.

    Attributes:
      class_of: `[0x110000]`, the class number of a code point. Surrogates, which stand for the bytes of invalid UTF-8,
        are of class `other`, as U+FFFD is.
      classes: the classes, in the order of their numbers.
      other: number of the class without any property.
      ascii_table: 256 bytes for `bytes.translate`: the class of each ASCII byte.
    """

    class_of: UInt8[np.ndarray, "1114112"]
    classes: tuple[CharacterClass, ...]
    other: int
    ascii_table: bytes

    def mask(self, condition: Callable[[CharacterClass], bool]) -> Bool[np.ndarray, "256"]:
        """Which class numbers fulfil `condition`; false for the numbers that are no class."""
        out = np.zeros(256, bool)
        out[: len(self.classes)] = [condition(c) for c in self.classes]
        return out


def parse_word_properties(text: str) -> WordProperties:
    """Reads `word_properties.txt`: lines `LOW..HIGH WORD_BREAK PROPERTY...`, code points in hexadecimal.

    Raises:
      ValueError: the text is of another Unicode version, or empty.
    """
    lines = text.splitlines()
    if not lines or lines[0] != f"# Unicode {UNICODE_VERSION}":
        raise ValueError(f"word_properties.txt is not of Unicode {UNICODE_VERSION}: make it anew with make_tables.py")
    ranges: list[tuple[int, int, CharacterClass]] = []
    for line in lines:
        if line.startswith("#"):
            continue
        span, word_break, *properties = line.split(" ")
        low, _, high = span.partition("..")
        ranges.append((int(low, 16), int(high or low, 16), CharacterClass(word_break, tuple(properties))))
    nothing = CharacterClass("Other", ())
    classes = sorted({nothing, *(c for _, _, c in ranges)})
    numbers = {c: i for i, c in enumerate(classes)}
    class_of = np.full(CODE_POINTS, numbers[nothing], np.uint8)
    for low, high, character_class in ranges:
        class_of[low : high + 1] = numbers[character_class]
    class_of.setflags(write=False)
    ascii_table = class_of[:128].tobytes() + bytes([numbers[nothing]]) * 128
    return WordProperties(class_of, tuple(classes), numbers[nothing], ascii_table)


@functools.cache
def word_properties() -> WordProperties:
    """The table that is shipped with the package."""
    return parse_word_properties(
        resources.files("lexitok.text").joinpath("data/word_properties.txt").read_text(encoding="utf-8")
    )
