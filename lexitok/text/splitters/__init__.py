"""Splitters: bytes to units by rule, over whole arrays and as streams that read one byte at a time.

A new rule is a file with a class (`engine.CharacterRule` or `engine.ByteRule`) and a line in `SPLITTERS`.
"""

from collections.abc import Callable

from lexitok.text.segmentation import Splitter
from lexitok.text.splitters.aunet import AunetWords
from lexitok.text.splitters.digits import SCHEMES
from lexitok.text.splitters.engine import byte_splitter, character_splitter
from lexitok.text.splitters.simple_rules import Spacelike, Stride, Whitespace
from lexitok.text.splitters.unicode_words import UnicodeWords

SPLITTERS: dict[str, Callable[[int, int, str], Splitter]] = {  # (max_unit_bytes, stride, digits) -> splitter
    "whitespace": lambda limit, stride, digits: character_splitter(Whitespace(), digits, limit),
    "unicode_words": lambda limit, stride, digits: character_splitter(UnicodeWords(), digits, limit),
    "spacelike": lambda limit, stride, digits: byte_splitter(Spacelike(), digits, limit),
    "stride": lambda limit, stride, digits: byte_splitter(Stride(stride), digits, limit),
    "aunet_words": lambda limit, stride, digits: character_splitter(
        AunetWords() if digits == "free" else AunetWords(longest_number=0), digits, limit
    ),
}


def make_splitter(name: str, *, max_unit_bytes: int = 64, stride: int = 8, digits: str = "free") -> Splitter:
    """The splitter of that name.

    Args:
      name: a key of `SPLITTERS`.
      max_unit_bytes: longer units are cut greedily: `spacelike` and `stride`, which know bytes only, cut at the byte,
        the others between characters wherever one ends in time.
      stride: bytes of a unit of `stride`; the others do not read it.
      digits: how runs of digits are cut, one of `digits.SCHEMES`.

    Raises:
      ValueError: an unknown name or scheme, or a length below 1; says what exists.
    """
    if name not in SPLITTERS:
        raise ValueError(f"no splitter is called '{name}'; there are: {', '.join(SPLITTERS)}")
    if digits not in SCHEMES:
        raise ValueError(f"no way to cut digits is called '{digits}'; there are: {', '.join(SCHEMES)}")
    if max_unit_bytes < 1:
        raise ValueError(f"max_unit_bytes is {max_unit_bytes}; it must be at least 1")
    return SPLITTERS[name](max_unit_bytes, stride, digits)
