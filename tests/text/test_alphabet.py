"""Byte symbols and their specials."""

import pytest

from lexitok.text.alphabet import ALPHABETS, APPENDED, IN_BYTES, InvalidUtf8Error


def test_appended_holds_every_byte_string():
    """Any bytes at all can be modelled: the specials must not take a byte's id."""
    data = bytes(range(256))
    assert APPENDED.encode(data).tolist() == list(range(256))
    assert APPENDED.decode(APPENDED.encode(data).tolist()) == data
    assert min(APPENDED.specials) == 256 and max(APPENDED.specials) < APPENDED.size


def test_in_bytes_specials_never_occur_in_utf8():
    """A special inside the 256 bytes is only safe if no valid text contains it."""
    used = set("".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000).encode())
    assert not used & IN_BYTES.specials
    assert IN_BYTES.size == 256 and len(IN_BYTES.specials) == 4


def test_in_bytes_refuses_invalid_utf8_with_source_and_offset():
    """A text that would be mistaken for specials has to be named, with the place."""
    with pytest.raises(InvalidUtf8Error, match=r"notes\.txt: not valid UTF-8 at byte 3 \(0xc0\)"):
        IN_BYTES.encode(b"abc\xc0def", "notes.txt")


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS.keys())
def test_decode_drops_specials_and_refuses_foreign_ids(alphabet):
    """Specials stand for zero bytes, and an id that is no symbol is a bug elsewhere that must surface."""
    ids = [alphabet.bos, *alphabet.encode("naïve".encode()).tolist(), alphabet.end_of_unit, alphabet.eot, alphabet.pad]
    assert alphabet.decode(ids) == "naïve".encode()
    with pytest.raises(ValueError, match="outside the alphabet"):
        alphabet.decode([alphabet.size])
    with pytest.raises(ValueError, match="outside the alphabet"):
        alphabet.decode([-1])
