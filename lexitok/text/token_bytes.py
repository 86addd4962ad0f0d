"""The exact bytes that tokens stand for, from the ways in which vocabularies spell them; and which single bytes there
are.
"""

import functools
import re
from collections.abc import Mapping

from lexitok.text.vocabulary import Vocabulary

SPACE = "\u2581"  # how SentencePiece writes a space
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@functools.cache
def byte_level_alphabet() -> Mapping[str, int]:
    """The character that stands for each byte in ByteLevel vocabularies, after GPT-2 (Radford et al. 2019).

    The printable characters of Latin-1 stand for themselves, and those from U+0100 on, in order, for the other bytes.
    """
    themselves = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in themselves)
    return {chr(byte): byte for byte in themselves} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def byte_level_spelling(data: bytes) -> str:
    """`data` as a ByteLevel vocabulary spells it; the inverse of `from_byte_level`."""
    characters = {byte: character for character, byte in byte_level_alphabet().items()}
    return "".join(characters[byte] for byte in data)


def from_byte_level(token: str) -> bytes:
    """The bytes of a ByteLevel token. One that has other characters in it is text as it stands."""
    alphabet = byte_level_alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode()


def from_sentencepiece(token: str, space: str = SPACE) -> bytes:
    """The bytes of a piece in which `space` stands for U+0020."""
    return token.replace(space, " ").encode()


def from_byte_token(token: str) -> bytes | None:
    """The byte of a byte-fallback token (`<0x0A>`); None for any other token."""
    found = _BYTE_TOKEN.fullmatch(token) if token.startswith("<0x") else None  # most are none
    return bytes([int(found[1], 16)]) if found else None


def single_bytes(vocabulary: Vocabulary) -> dict[int, tuple[int, ...]]:
    """The ids that stand for each single byte, all 256; none for a byte that the vocabulary does not have.

    There may be several: SentencePiece has byte tokens for ASCII beside the pieces of one character.
    """
    ids: dict[int, list[int]] = {byte: [] for byte in range(256)}
    for i, token in enumerate(vocabulary.token_bytes):
        if len(token) == 1:
            ids[token[0]].append(i)
    return {byte: tuple(some) for byte, some in ids.items()}


def missing_bytes(vocabulary: Vocabulary) -> bytes:
    """The bytes that no id of a vocabulary stands for. Without any, every byte string can be written in it."""
    return bytes(byte for byte, ids in single_bytes(vocabulary).items() if not ids)
