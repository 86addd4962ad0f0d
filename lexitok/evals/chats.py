"""What of a chat is evaluated: what is learnt, and that alone counts as bytes, words and nats of text."""

from typing import Any

import numpy as np

from lexitok.data.chat_encoders import END, READ, EncodedChat
from lexitok.data.encoders import Encoder
from lexitok.evals.tally import Scored
from lexitok.text.segmentation import Segmentation, Splitter


def chat_of(encoder: Encoder, data: bytes) -> EncodedChat | None:
    """A document as a chat; None: it is none, or the encoder knows of none."""
    find: Any = getattr(encoder, "chat", None)
    return None if find is None else find(data)


def learnt_of(encoder: Encoder, data: bytes) -> bytes:
    """Of a chat, what is said in the turns that are learnt, one behind the other; of another document all."""
    found = chat_of(encoder, data)
    return data if found is None else b"".join(found.learnt)


def learnt_alone(scored: Scored, chat: EncodedChat, eot: int) -> Scored:
    """The symbols that are learnt; what ends a turn is to be scored as what ends a text."""
    kept = chat.kinds != READ
    symbols = np.where(chat.kinds == END, np.int32(eot), scored.symbols)
    return Scored(symbols[kept], chat.said[kept], scored.nll[kept], scored.is_top[kept])


def words_of(chat: EncodedChat, splitter: Splitter) -> Segmentation:
    """The words of what is learnt: none goes over the end of a turn."""
    parts = [splitter.split(part) for part in chat.learnt if part]
    if not parts:
        return splitter.split(b"")
    before = np.cumsum([0, *(int(part.starts.sum()) for part in parts[:-1])])
    closed = [part.closed + np.int32(count) for part, count in zip(parts, before, strict=True)]
    return Segmentation(np.concatenate([part.starts for part in parts]), np.concatenate(closed))
