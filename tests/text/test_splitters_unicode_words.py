"""`unicode_words` against the published pairs, and against its six steps written for clarity."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.splitters import make_splitter
from lexitok.text.splitters.characters import characters
from lexitok.text.splitters.unicode_tables import word_properties
from lexitok.text.splitters.word_break import word_starts

DATA = Path(__file__).parent / "data"


def _has(character: str, name: str) -> bool:
    table = word_properties()
    return table.classes[table.class_of[ord(character)]].has(name)


def pieces(text: str) -> list[str]:
    """Steps 1 to 3: UAX #29 words, cut after punctuation and between lower and upper case."""
    words = word_starts(characters(text.encode()).classes)
    out: list[str] = []
    for i, c in enumerate(text):
        case = i > 0 and _has(text[i - 1], "Ll") and _has(c, "Lu")
        if i == 0 or words[i] or _has(text[i - 1], "P") or case:
            out.append(c)
        else:
            out[-1] += c
    return out


def kind(piece: str) -> str:
    """Step 4."""
    if piece == " ":
        return "Space"
    if all(_has(c, "White_Space") for c in piece):
        return "Whitespace"
    return "Punct" if len(piece) == 1 and _has(piece, "P") else "Word"


def published_units(text: str) -> list[str]:
    """Steps 1 to 6 to the letter."""
    units: list[str] = []
    last = ""
    for piece in pieces(text):
        this = kind(piece)
        if (last, this) == ("Space", "Word") or (last in ("Space", "Word", "Punct") and this == "Punct"):
            units[-1] += piece
        else:
            units.append(piece)
        last = this
    return units


def causal_units(text: str) -> list[str]:
    """The steps with the two changes that make the rule causal."""
    units: list[str] = []
    last = ""
    pairs = pieces(text.replace("\u2044", "+"))
    position = 0
    for piece in pairs:
        this = kind(piece)
        joins_space = last == "Space" and not _has(piece[0], "White_Space")
        piece = text[position : position + len(piece)]
        position += len(piece)
        if (this == "Word" and joins_space) or (last in ("Space", "Word", "Punct") and this == "Punct"):
            units[-1] += piece
        else:
            units.append(piece)
        last = this
    return units


def representatives() -> list[str]:
    """One character of every class."""
    table = word_properties()
    return [chr(int(np.argmax(table.class_of == i))) for i in range(len(table.classes))]


def published_units_of(texts: list[str]) -> dict[str, list[str]]:
    """The units of many texts at once, with hard breaks between them."""
    units: list[list[str]] = [[]]
    for unit in published_units("\u2028".join(texts)):
        units.append([]) if unit == "\u2028" else units[-1].append(unit)
    return dict(zip(texts, units, strict=True))


def words(text: str) -> list[str]:
    data = text.encode()
    ends = make_splitter("unicode_words", max_unit_bytes=1000).split(data).ends().tolist()
    return [data[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]


def test_published_pairs():
    """`unicode_words` is the published HATs' rule: a checkpoint of theirs must see the words it was trained on."""
    pairs = json.loads((DATA / "hat_splits.json").read_text(encoding="utf-8"))
    assert len(pairs) == 45
    assert [(p["text"], words(p["text"])) for p in pairs] == [(p["text"], p["words"]) for p in pairs]


@pytest.mark.parametrize("length", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_unicode_words_follows_its_six_steps_on_every_short_string(length):
    """The fused tables must give what the description says, for every combination of classes of characters."""
    text = "\u2028".join("".join(chars) for chars in product(representatives(), repeat=length))
    assert words(text) == causal_units(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(representatives()), max_size=16).map("".join))
def test_unicode_words_follows_its_six_steps_on_longer_strings(text):
    """Flags, runs of spaces and marks between letters take more than three characters."""
    assert words(text) == causal_units(text)


def test_published_rule_is_not_causal_only_where_it_was_changed():
    """Finds by program where a unit's start depends on what comes later; nothing but the two known cases may."""
    chars = representatives()
    table = word_properties()
    blank = {c for c in chars if table.classes[table.class_of[ord(c)]].has("White_Space")} - {" "}
    shorter = published_units_of(["".join(ab) for ab in product(chars, repeat=2)])
    longer = published_units_of(["".join(abc) for abc in product(chars, repeat=3)])
    violations = set()
    for abc, units in longer.items():
        *known, open_unit = shorter[abc[:2]]
        if units[: len(known)] != known or not units[len(known)].startswith(open_unit):
            violations.add(abc[:2])
    assert violations
    assert all(ab[1] == "\u2044" or (ab[0] == " " and ab[1] in blank) for ab in violations)
    middle = [c for c in table.classes if c.word_break.startswith("Mid") and not c.has("P")]
    assert len(middle) == 1
    assert np.flatnonzero(table.class_of == table.classes.index(middle[0])).tolist() == [0x2044]


def test_fraction_slash_is_a_symbol():
    """The documented departure: 1⁄2 is three units, as 1+2 is."""
    assert words("1⁄2 ½") == ["1", "⁄", "2", " ½"]
    assert words(" \u202fa") == [" ", "\u202fa"]
