"""The default word boundaries of Unicode, and the table of properties under them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import word_boundaries as uniseg_word_boundaries
from uniseg.wordbreak import word_break as uniseg_word_break

from lexitok.text.splitters import make_tables
from lexitok.text.splitters.characters import CharacterStream, characters
from lexitok.text.splitters.unicode_tables import UNICODE_VERSION, parse_word_properties, word_properties
from lexitok.text.splitters.word_break import word_starts

DATA = Path(__file__).parent / "data"


def _cases() -> list[tuple[str, list[bool]]]:
    lines = (DATA / "word_break_test.txt").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines if not line.startswith("#")]
    return [("".join(chr(int(code, 16)) for code in f[1::2]), [mark == "÷" for mark in f[:-1:2]]) for f in fields]


def test_every_case_of_unicodes_own_test_file():
    """WordBreakTest.txt is the definition of conformance to UAX #29."""
    cases = _cases()
    assert len(cases) == 1823
    wrong = [text for text, starts in cases if word_starts(characters(text.encode()).classes).tolist() != starts]
    assert wrong == []


def _same_in_uniseg(code: int) -> bool:
    table = word_properties()
    ours = table.classes[table.class_of[code]].word_break
    theirs = uniseg_word_break(chr(code)).name
    return theirs == ours or (theirs in ("FORMAT", "EXTEND") and ours == "Extend") or theirs.lower() == ours.lower()


_SAMPLES = [
    c
    for c in "ab1.,:;'\"_ \r\n\t\u0085\u00a0\u202f\u2003\u0308\u200d\u00ad\u2044’אב״カゴ漢กั한🇩🇪👩❤‼"
    if _same_in_uniseg(ord(c))
]


def test_samples_cover_the_values():
    """Guards the next test: the other library's newer Unicode must not silently empty its alphabet."""
    assert len(_SAMPLES) > 35


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(_SAMPLES), min_size=1, max_size=12))
def test_agrees_with_an_independent_implementation(text):
    """Random mixtures reach combinations of rules that Unicode's own list does not have."""
    ours = np.flatnonzero(word_starts(characters(text.encode()).classes)).tolist()
    assert ours == list(uniseg_word_boundaries(text))[:-1]


def test_shipped_table_is_what_the_unicode_files_say():
    """The table in the package can be made anew, where the Unicode files of its version are installed."""
    ucd = Path("/usr/share/unicode")
    version = ucd / "auxiliary/WordBreakProperty.txt"
    if not version.exists() or UNICODE_VERSION not in version.read_text(encoding="utf-8")[:80]:
        pytest.skip(f"the files of Unicode {UNICODE_VERSION} are not installed")
    shipped = Path(make_tables.__file__).parents[1] / "data/word_properties.txt"
    assert make_tables.render(ucd) == shipped.read_text(encoding="utf-8")


def test_table_of_another_version_is_refused(tmp_path):
    """Properties of two Unicode versions must never be mixed unseen."""
    with pytest.raises(ValueError, match=r"not of Unicode 15\.0\.0"):
        parse_word_properties("# Unicode 14.0.0\n0041 ALetter Lu\n")
    (tmp_path / "auxiliary").mkdir()
    (tmp_path / "auxiliary/WordBreakProperty.txt").write_text("# WordBreakProperty-9.9.9.txt\n")
    with pytest.raises(ValueError, match=r"WordBreakProperty-9\.9\.9"):
        make_tables.render(tmp_path)


def test_known_properties():
    """A few facts by hand, so that a shifted range cannot go unseen."""
    table = word_properties()

    def of(c: str):
        return table.classes[table.class_of[ord(c)]]

    assert of("a").properties == ("L", "Ll") and of("Ж").properties == ("L", "Lu") and of("ǅ").properties == ("L",)
    assert of("٣").word_break == "Numeric" and of("٣").has("Nd") and of("½").properties == ("N",)
    assert of("\u202f").word_break == "ExtendNumLet" and of("\u202f").has("White_Space")
    assert of("‼").properties == ("Extended_Pictographic", "P") and of("$").properties == ()
    assert of("\x1c").properties == () and of("\x85").has("White_Space")  # unlike Python's str.isspace
    assert table.class_of[0xDC80] == table.other == table.class_of[0xFFFD]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=3), st.sampled_from(["é", "—", "👩", "a"]).map(str.encode)), max_size=8).map(
        b"".join
    )
)
def test_characters_are_pythons_and_are_known_when_streamed(data):
    """Invalid bytes are characters of their own, as `surrogateescape` has them, and no character is known too early."""
    atoms = characters(data)
    text = data.decode("utf-8", "surrogateescape")
    lengths = [len(c.encode("utf-8", "surrogateescape")) for c in text]
    assert atoms.classes.tolist() == [word_properties().class_of[ord(c)] for c in text]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    assert offsets.tolist() == (atoms.offsets.tolist() if atoms.offsets is not None else list(range(len(data) + 1)))
    known = offsets[1:] - 1 if atoms.known is None else atoms.known
    stream, read = CharacterStream(), []
    for t, byte in enumerate(data):
        read += stream.push(byte)
        assert read == list(zip(atoms.classes.tolist(), lengths, strict=True))[: int((known <= t).sum())]
