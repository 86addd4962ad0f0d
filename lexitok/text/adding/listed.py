"""Merges that lead to given tokens."""

import itertools
from collections.abc import Callable, Iterable, Sequence

from lexitok.text.adding.bpe import replaced, settle
from lexitok.text.adding.continued import NewToken
from lexitok.text.adding.formats import AddingError, BpeFormat


def merges_to(tokens: Sequence[str], bpe: BpeFormat, ids: Iterable[int]) -> list[NewToken]:
    """Tokens, and those on the way to them: of three parts, the first two have to become one before.

    Each token begins as what the tokenizer makes of it with all that was added before; short ones come first, and can
    be parts of longer ones. Characters that are no tokens are added before they are merged.

    Args:
      tokens: what they stand for; none of them is a token yet.
      bpe: the vocabulary; the merges are added to its rules.
      ids: of new tokens, as many as it takes.

    Raises:
      AddingError: no merges lead to a token: it lies across words, or has parts that do not merge.
    """
    free, found = iter(ids), []

    def add(spelling: str | bytes, parts: tuple[int, int] | None) -> int:
        token = NewToken(next(free), spelling, parts)
        found.append(token)
        bpe.rules.add(token.id, spelling, parts)
        bpe.spellings[token.id] = spelling
        return token.id

    for token in sorted(tokens, key=lambda token: (len(token.encode()), token)):
        spelling = bpe.spelled(token.encode())
        if spelling in bpe.rules.ids:
            if bpe.rules.ids[spelling] in {new.id for new in found}:
                continue  # it was on the way to another
            raise AddingError(f"{token!r} is spelled like token {bpe.rules.ids[spelling]}, which is matched whole")
        words = bpe.words(token.encode())
        if dict(words) != {spelling: 1}:
            raise AddingError(f"{token!r} is cut into the words {list(words)}: no merges lead across them")
        symbols = settle(bpe.segment(spelling), bpe.rules)
        symbols = _with_characters(symbols, bpe, add)
        while len(symbols) > 1:
            parts = _first_to_merge(symbols, bpe)
            if parts is None:
                raise AddingError(f"no merges lead to {token!r}: its parts are specials, bytes, or tokens joined so")
            new = add(bpe.spellings[parts[0]] + bpe.spellings[parts[1]], parts)
            symbols = settle(replaced(symbols, parts, new), bpe.rules)
        if bpe.spellings[symbols[0]] != spelling:
            raise AddingError(f"{token!r} is {bpe.spellings[symbols[0]]!r} to this tokenizer")
    return found


def _with_characters(symbols: list[int], bpe: BpeFormat, add: Callable[[str | bytes, None], int]) -> list[int]:
    """The symbols with characters that were no tokens as such, which they are by now."""
    for character in dict.fromkeys(symbol for symbol in symbols if symbol < 0):
        spelling = bpe.spellings[character]
        token = bpe.rules.ids.get(spelling)
        token = add(spelling, None) if token is None else token
        symbols = settle(replaced(symbols, (character,), token), bpe.rules)
    return symbols


def _first_to_merge(symbols: list[int], bpe: BpeFormat) -> tuple[int, int] | None:
    """The first two neighbours that may become a new token."""
    spelled = bpe.spellings
    for left, right in itertools.pairwise(symbols):
        if left in spelled and right in spelled and spelled[left] + spelled[right] not in bpe.rules.ids:
            return left, right
    return None
