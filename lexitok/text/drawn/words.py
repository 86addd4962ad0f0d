"""Bytes to the words that tokens lie within, by a pattern and the library `tokenizers`."""

import re
from collections import Counter

import tokenizers
from tokenizers import pre_tokenizers

_INVALID = re.compile("([\udc80-\udcff]+)")  # what `surrogateescape` makes of bytes that are not UTF-8


def text_and_invalid(data: bytes) -> list[str]:
    """Stretches of valid UTF-8 and of bytes that are none, in turn; the first is valid and may be empty.

    Bytes that are no UTF-8 are the characters U+DC00 + byte, as `surrogateescape` has them.
    """
    return [data.decode()] if data.isascii() else _INVALID.split(data.decode("utf-8", "surrogateescape"))


def word_splitter(pattern: str) -> pre_tokenizers.Split:
    """Cuts text into the matches of `pattern` and what is between them.

    Raises:
      ValueError: `pattern` is no regular expression.
    """
    try:
        return pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from error


def count_words(data: bytes, splitter: pre_tokenizers.Split) -> Counter[bytes]:
    """How often each word is in a text. Bytes that are not UTF-8 are in no word, and end the word before them."""
    found: Counter[str] = Counter()
    for text in text_and_invalid(data)[::2]:
        found.update(word for word, _ in splitter.pre_tokenize_str(text))
    return Counter({word.encode(): count for word, count in found.items()})
