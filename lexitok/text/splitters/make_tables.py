"""Makes `lexitok/text/data/word_properties.txt` from the Unicode Character Database.

    python -m lexitok.text.splitters.make_tables /usr/share/unicode lexitok/text/data/word_properties.txt

The folder is laid out as Debian's `unicode-data` is (the database as unicode.org publishes it, plus `emoji/`).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from lexitok.text.splitters.unicode_tables import CODE_POINTS, UNICODE_VERSION

HEADER = f"""# Unicode {UNICODE_VERSION}
# Word_Break and the other properties that the splitters use; code points that are not named have none of them.
# LOW..HIGH WORD_BREAK PROPERTY...; written by lexitok/text/splitters/make_tables.py from WordBreakProperty.txt,
# DerivedGeneralCategory.txt, PropList.txt and emoji-data.txt. Format counts as Extend; Space is U+0020.
# Data of Unicode, Inc., changed in form: see UNICODE-LICENSE.txt beside this file.
"""


def read_ranges(path: Path) -> Iterator[tuple[range, str]]:
    """The code points and the value of every line of a property file of the database."""
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = [field.strip() for field in line.split("#")[0].split(";")]
        if len(fields) >= 2:
            low, _, high = fields[0].partition("..")
            yield range(int(low, 16), int(high or low, 16) + 1), fields[1]


def properties_of_code_points(ucd: Path) -> list[tuple[str, ...]]:
    """For every code point its Word_Break value and then, sorted, the properties that hold."""
    word_break = ["Other"] * CODE_POINTS
    properties: list[set[str]] = [set() for _ in range(CODE_POINTS)]
    for codes, value in read_ranges(ucd / "auxiliary/WordBreakProperty.txt"):
        for code in codes:
            word_break[code] = "Extend" if value == "Format" else value
    for codes, value in read_ranges(ucd / "extracted/DerivedGeneralCategory.txt"):
        names = {value, value[0]} & {"L", "Ll", "Lu", "N", "Nd", "P"}
        for code in codes if names else ():
            properties[code] |= names
    for file, name in (("PropList.txt", "White_Space"), ("emoji/emoji-data.txt", "Extended_Pictographic")):
        for codes, value in read_ranges(ucd / file):
            if value == name:
                for code in codes:
                    properties[code].add(name)
    properties[0x20].add("Space")
    return [(w, *sorted(p)) for w, p in zip(word_break, properties, strict=True)]


def render(ucd: Path) -> str:
    """The text of `word_properties.txt`.

    Raises:
      ValueError: `ucd` is of another Unicode version than `UNICODE_VERSION`.
    """
    first = (ucd / "auxiliary/WordBreakProperty.txt").read_text(encoding="utf-8").partition("\n")[0]
    if UNICODE_VERSION not in first:
        raise ValueError(f"{ucd} holds '{first}', but UNICODE_VERSION is {UNICODE_VERSION}: change one of them")
    table = properties_of_code_points(ucd)
    lines, low = [], 0
    for code in range(1, CODE_POINTS + 1):
        if code == CODE_POINTS or table[code] != table[low]:
            if table[low] != ("Other",):
                span = f"{low:04X}" if code - 1 == low else f"{low:04X}..{code - 1:04X}"
                lines.append(" ".join((span, *table[low])))
            low = code
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(render(Path(sys.argv[1])), encoding="utf-8")
