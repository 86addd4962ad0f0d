"""Bytes to characters: whole arrays at once, and one byte at a time.

Any byte string has characters. A byte that is no part of a valid UTF-8 sequence (Unicode 15, table 3-7) is a character
of its own, of class `other`. A character is known once it is complete; the bytes of a sequence that breaks off are
known at the byte that breaks it, since until then they could have become something else.
"""

import dataclasses

import numpy as np
from jaxtyping import Int64, UInt8

from lexitok.text.splitters.unicode_tables import word_properties

_ESCAPE = 0xDC00  # `surrogateescape` decodes an invalid byte b to 0xDC00 + b


@dataclasses.dataclass(frozen=True)
class Atoms:
    """The pieces of `n` bytes that a rule looks at: `c` characters, or the bytes themselves.

    Attributes:
      classes: the class number of each.
      offsets: byte offset of each, and then `n`; None if each is one byte.
      known: the byte with which each is known (`n`: only the end of the text tells); None if it is its last byte.
    """

    classes: UInt8[np.ndarray, "c"]
    offsets: Int64[np.ndarray, "c+1"] | None = None
    known: Int64[np.ndarray, "c"] | None = None


def characters(data: bytes) -> Atoms:
    """The characters of `data`, valid UTF-8 or not."""
    table = word_properties()
    if data.isascii():
        return Atoms(np.frombuffer(data.translate(table.ascii_table), np.uint8))
    raw = np.frombuffer(data, np.uint8)
    try:
        codes = _code_points(data.decode("utf-8"))
    except UnicodeDecodeError:
        codes = _code_points(data.decode("utf-8", "surrogateescape"))
        return _with_invalid_bytes(raw, codes)
    offsets = np.empty(len(codes) + 1, np.int64)
    offsets[:-1] = (raw.view(np.int8) >= -64).nonzero()[0]  # not 0x80 to 0xBF, the continuation bytes
    offsets[-1] = len(data)
    return Atoms(table.class_of.take(codes), offsets)


def _code_points(text: str) -> np.ndarray:
    return np.array([text], np.str_).view(np.uint32)


def _with_invalid_bytes(raw: np.ndarray, codes: np.ndarray) -> Atoms:
    escaped = (codes >= _ESCAPE) & (codes < _ESCAPE + 0x400)
    lengths = np.where(escaped, 1, 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000))
    offsets = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    known = offsets[1:] - 1
    atom = np.flatnonzero(escaped)
    prefix = _broken_prefix(raw, offsets[atom])
    for k in range(3):
        atom_k = atom[prefix > k]
        known[atom_k + k] = offsets[atom_k] + prefix[prefix > k]
    return Atoms(word_properties().class_of[codes], offsets, known)


def _broken_prefix(raw: np.ndarray, at: np.ndarray) -> np.ndarray:
    """For each invalid byte, the length of the start of a valid sequence that it begins: 0 if it can begin none."""
    low, high = _SECOND_BYTE
    padded = np.append(raw, np.zeros(3, np.uint8))
    lead, second, third = padded[at], padded[at + 1], padded[at + 2]
    one = (lead >= 0xC2) & (lead <= 0xF4)
    two = one & (lead >= 0xE0) & (second >= low[lead]) & (second <= high[lead])
    three = two & (lead >= 0xF0) & (third >= 0x80) & (third <= 0xBF)
    return one.astype(np.int64) + two + three


def _second_byte_range() -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(256, 0x80, np.uint8), np.full(256, 0xBF, np.uint8)
    low[0xE0], high[0xED], low[0xF0], high[0xF4] = 0xA0, 0x9F, 0x90, 0x8F
    return low, high


_SECOND_BYTE = _second_byte_range()


class CharacterStream:
    """`characters`, a byte at a time."""

    def __init__(self) -> None:
        self._other = word_properties().other
        self._held = bytearray()  # the start of a sequence that is not complete
        self._length = 0

    def push(self, byte: int) -> list[tuple[int, int]]:
        """Reads a byte; returns (class, length in bytes) of the characters that are now known."""
        known: list[tuple[int, int]] = []
        class_of = word_properties().class_of  # no attribute: it is large, and streams are copied
        if self._held:
            if self._continues(byte):
                self._held.append(byte)
                if len(self._held) < self._length:
                    return known
                known.append((int(class_of[ord(self._held.decode())]), self._length))
                self._held.clear()
                return known
            known += [(self._other, 1)] * len(self._held)
            self._held.clear()
        if 0xC2 <= byte <= 0xF4:
            self._held.append(byte)
            self._length = 2 + (byte >= 0xE0) + (byte >= 0xF0)
        else:
            known.append((int(class_of[byte]) if byte < 0x80 else self._other, 1))
        return known

    def _continues(self, byte: int) -> bool:
        low, high = _SECOND_BYTE
        lead = self._held[0]
        return bool(low[lead] <= byte <= high[lead]) if len(self._held) == 1 else 0x80 <= byte <= 0xBF
