"""Chats as documents: turns in one string of bytes, each behind a mark that says who speaks.

A mark is 0xFF, the role, 0xFE: bytes that no UTF-8 text has. So a chat goes through the pipeline as any document does,
and whoever reads it knows its turns; under each tokenizer a mark is what that one's chat template has there.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

_MARK = re.compile(rb"\xff([a-z_]+)\xfe")


class Turn(NamedTuple):
    """What somebody says.

    Attributes:
      role: `user`, `assistant`, `system`, `tool`.
      content: UTF-8.
    """

    role: str
    content: bytes


def mark_of(role: str) -> bytes:
    """What stands before a turn."""
    return b"\xff" + role.encode() + b"\xfe"


def chat(turns: Iterable[Turn]) -> bytes:
    """The document of some turns.

    Raises:
      ValueError: a role that is no word of small letters, or a content with bytes of marks; names the turn.
    """
    parts = []
    for number, turn in enumerate(turns):
        mark = mark_of(turn.role)
        if not _MARK.fullmatch(mark):
            raise ValueError(f"turn {number}: {turn.role!r} is no role")
        try:
            turn.content.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"turn {number}: what is said is not UTF-8: {error}") from None
        parts.append(mark + turn.content)
    return b"".join(parts)


def turns_of(data: bytes) -> list[Turn]:
    """The turns of a document; none where it is no chat, but text or empty."""
    if not data.startswith(b"\xff"):
        return []
    before, *rest = _MARK.split(data)
    if before:
        return []
    return [Turn(role.decode(), content) for role, content in zip(rest[::2], rest[1::2], strict=True)]


def without_marks(data: bytes) -> bytes:
    """What is said in a chat, a line a turn; of other documents all."""
    turns = turns_of(data)
    return b"\n".join(turn.content for turn in turns) if turns else data
