"""Chats → streams of symbols: what is said, and around it what a chat template has there.

What the template adds stands for no bytes of text. The bytes of a mark (`lexitok.text.chats`) go with the last symbol
before what is said, so that two tokenisations of a chat, each under a template of its own, are aligned as those of a
text are: turn by turn, specials by what they are for, and what is said byte by byte.

What those say who are to be learnt from is predicted, and the symbol behind it, which ends the turn; all else is read.
What is said is encoded by itself: no token goes over the edge of a turn.
"""

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from lexitok.data.encoders import ByteEncoder, Coder, Encoder, SubwordEncoder, flat_stream
from lexitok.text.boundaries import SymbolStream
from lexitok.text.chat_template import ChatTemplateError, cut_at_specials, render
from lexitok.text.chats import Turn, mark_of, turns_of
from lexitok.text.vocabulary import Vocabulary

READ, SAID, END = range(3)  # what a symbol is: only read, learnt as what is said, learnt as what ends a turn


@dataclasses.dataclass(frozen=True)
class EncodedChat:
    """A chat as symbols, `eot` at the end.

    Attributes:
      stream: the symbols; of `nbytes`, marks and what a template strips are with their neighbours.
      kinds: int32 `[n]`, `READ`, `SAID` or `END`.
      said: int32 `[n]`, bytes of what is said that a symbol stands for: 0 of a template's.
      learnt: what is said in the turns that are learnt.
      lossy: whether symbols stand for other bytes than those of the document.
    """

    stream: SymbolStream
    kinds: np.ndarray
    said: np.ndarray
    learnt: tuple[bytes, ...]
    lossy: bool


LEARNT = ("assistant",)  # roles whose turns are predicted


@dataclasses.dataclass(frozen=True)
class _ReadsChats(Coder):
    """What makes of an encoder one that reads chats, too; other documents are to it what they were.

    Attributes:
      template: the chat template, in Jinja.
      learnt: roles whose turns are predicted.
    """

    template: str = ""
    learnt: tuple[str, ...] = LEARNT

    def measure(self, data: bytes, source: str = "text") -> tuple[SymbolStream, bool]:
        found = self.chat(data, source)
        return super().measure(data, source) if found is None else (found.stream, found.lossy)

    def chat(self, data: bytes, source: str = "text") -> EncodedChat | None:
        """A document that is a chat; None: it is another.

        Raises:
          ValueError: what is said is not UTF-8, or the template cannot be rendered, or says something else.
        """
        turns = turns_of(data)
        if not turns:
            return None
        try:
            frames, said = self._rendered(turns)
        except (ChatTemplateError, UnicodeDecodeError) as error:
            raise ValueError(f"{source}: {error}") from None
        written, learnt = _Written(self._vocabulary), False
        for turn, frame, content in zip(turns, frames, said, strict=False):
            written.frame(frame, len(mark_of(turn.role)), learnt)
            learnt = turn.role in self.learnt
            stream, lossy = super().measure(content, source)
            written.content(stream, turn.content, content, learnt, lossy)
        written.frame(frames[-1], 0, learnt)
        return written.encoded()

    def _rendered(self, turns: Sequence[Turn]) -> tuple[Sequence[list[int]], list[bytes]]:
        """The symbols before, between and behind what is said, and this, as the template leaves it."""
        roles, contents = tuple(turn.role for turn in turns), [turn.content.decode() for turn in turns]
        if roles not in self._known:
            frames = _frames(self.template, self._vocabulary, roles)
            self._known[roles] = frames, list(map(self._ids, frames))
        frames, symbols = self._known[roles]
        whole = render(self.template, self._vocabulary, _messages(roles, contents), answer=False)
        return symbols, [content.encode() for content in _as_rendered(whole, frames, contents)]

    @property
    def _vocabulary(self: Any) -> Vocabulary:
        return self.vocabulary

    @functools.cached_property
    def _known(self) -> dict[tuple[str, ...], tuple[list[str], list[list[int]]]]:
        """What the template has around turns, as text and symbols, by the roles of a chat."""
        return {}

    def _ids(self, frame: str) -> list[int]:
        """The symbols of what a template has at one place."""
        ids = {name: i for i, name in self._vocabulary.names.items()}
        found: list[int] = []
        for number, piece in enumerate(cut_at_specials(frame, ids)):
            found += [ids[piece]] if number % 2 else super().measure(piece.encode())[0].symbols[:-1].tolist()
        return found


@dataclasses.dataclass(frozen=True)
class ChatSubwordEncoder(_ReadsChats, SubwordEncoder):
    """Tokens of a tokenizer, in texts and chats."""


@dataclasses.dataclass(frozen=True)
class ChatByteEncoder(_ReadsChats, ByteEncoder):
    """Bytes, in texts and chats."""


def reading_chats(encoder: Encoder, template: str, learnt: Sequence[str] = LEARNT) -> Encoder:
    """The encoder, for chats too.

    Raises:
      ValueError: it is one of bytes in units, whose chats have no template.
    """
    if isinstance(encoder, SubwordEncoder):
        return ChatSubwordEncoder(template=template, learnt=tuple(learnt), tokenizer=encoder.tokenizer)
    if isinstance(encoder, ByteEncoder):
        both = {"alphabet": encoder.alphabet, "vocabulary": encoder.vocabulary}
        return ChatByteEncoder(template=template, learnt=tuple(learnt), **both)
    raise ValueError(f"text.chat.template needs text.kind 'subword' or 'bytes', not '{encoder.kind}'")


def _as_rendered(whole: str, frames: Sequence[str], contents: Sequence[str]) -> Sequence[str]:
    """What is said as the template leaves it: as it was, or stripped, as by most of them.

    Raises:
      ChatTemplateError: neither is what it renders.
    """
    for said in (contents, [content.strip() for content in contents]):
        if "".join(map("".join, zip(frames, [*said, ""], strict=True))) == whole:
            return said
    raise ChatTemplateError("the chat template changes what is said, or says something else because of it")


def _frames(template: str, vocabulary: Vocabulary, roles: Sequence[str]) -> list[str]:
    """What a template has before, between and behind the turns of some roles, whatever is said."""
    said = [f"\ue000{number}\ue001" for number in range(len(roles))]
    text = render(template, vocabulary, _messages(roles, said), answer=False)
    found = re.split("\ue000([0-9]+)\ue001", text)
    if found[1::2] != [str(number) for number in range(len(roles))]:
        raise ChatTemplateError("the chat template leaves turns out, or says some of them twice")
    return found[::2]


def _messages(roles: Sequence[str], contents: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(roles, contents, strict=True)]


class _Written:
    """A chat's symbols as they come: of each its id, its raw bytes, those of what is said, and what it is."""

    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._rows: list[tuple[int, int, int, int]] = []
        self._left = 0  # raw bytes that go with the next symbol that stands for any
        self._learnt: list[bytes] = []
        self._lossy = False

    def frame(self, ids: Sequence[int], nbytes: int, ends: bool) -> None:
        """What a template has at one place, and raw bytes that it stands for; `ends`: a turn that is learnt."""
        self._left += nbytes
        if not self._rows and ids and ids[0] == self._vocabulary.bos:  # every piece begins with it
            ids = ids[1:]
        for number, i in enumerate(ids):
            last = nbytes > 0 and number == len(ids) - 1
            self._rows.append((i, self._left if last else 0, 0, END if ends and number == 0 else READ))
            self._left = 0 if last else self._left

    def content(self, stream: SymbolStream, whole: bytes, left: bytes, learnt: bool, lossy: bool) -> None:
        """What is said: the symbols of what is left of it, where the template strips."""
        before = whole.find(left)
        self._lossy |= lossy or len(left) < len(whole)
        self._learnt += [left] if learnt else []
        self._left += before
        for i, n in zip(stream.symbols[:-1].tolist(), stream.nbytes[:-1].tolist(), strict=True):
            self._rows.append((i, n + self._left, n, SAID if learnt else READ))
            self._left = 0
        self._left += len(whole) - before - len(left)

    def encoded(self) -> EncodedChat:
        """All of it. `eot` is learnt only if it is that which ends the last turn."""
        rows, vocabulary = self._rows, self._vocabulary
        ends = bool(rows) and rows[-1][0] == vocabulary.eot
        last = rows[-1] if ends else (vocabulary.eot, 0, 0, READ)
        rows = [*rows[: len(rows) - ends], (last[0], last[1] + self._left, 0, last[3])]
        symbols, nbytes, said, kinds = np.array(rows, np.int32).T
        stream = dataclasses.replace(flat_stream(symbols[:-1], nbytes[:-1], vocabulary), predicted=kinds != READ)
        stream.nbytes[-1] = nbytes[-1]
        return EncodedChat(stream, kinds, said, tuple(self._learnt), self._lossy)
