"""What a model wrote, read again: whether its tokenizer would make those tokens of the text, and whether it is text."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from lexitok.text.audit.logs import AuditError
from lexitok.text.vocabulary import Tokenizer


@dataclasses.dataclass(frozen=True)
class Drift:
    """Sums over what was written.

    Attributes:
      texts, tokens: how many; specials are no tokens of text.
      texts_changed: of which the tokenizer makes other tokens.
      tokens_changed: tokens that are not among those, at the same bytes.
      invalid: texts that are not valid UTF-8, but for a character that they end within.
      first_changed, first_invalid: numbers of the first of them, from 0; None where there is none.
    """

    texts: int = 0
    tokens: int = 0
    texts_changed: int = 0
    tokens_changed: int = 0
    invalid: int = 0
    first_changed: int | None = None
    first_invalid: int | None = None

    def line(self) -> str:
        """The sums as text."""
        changed, invalid = (
            "" if first is None else f" (the first: number {first})"
            for first in (self.first_changed, self.first_invalid)
        )
        return (
            f"{self.texts} texts that were written, {self.tokens} tokens: of {self.texts_changed} texts{changed} the "
            f"tokenizer makes others, in place of {self.tokens_changed} tokens; {self.invalid} are no UTF-8{invalid}"
        )


def changed_tokens(tokenizer: Tokenizer, ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Which tokens the tokenizer would not make of the text that they stand for.

    Returns:
      bool `[n]`: no token of the text's encoding is the same at the same bytes. Specials are left out of it: False.
    """
    vocabulary, ids = tokenizer.vocabulary, np.asarray(ids, np.int64)
    again, nbytes = _again(tokenizer, vocabulary.decode(ids))
    is_text = np.isin(ids, sorted(vocabulary.specials), invert=True)
    made = set(zip(_starts(nbytes), again.tolist(), strict=True))
    placed = zip(_starts(vocabulary.lengths[ids]), ids.tolist(), is_text.tolist(), strict=True)
    return np.array([text and (start, i) not in made for start, i, text in placed], bool)


def drift(tokenizer: Tokenizer, written: Iterable[Sequence[int] | np.ndarray]) -> Drift:
    """What becomes of texts, given as tokens, if they are decoded and encoded again.

    Raises:
      AuditError: an id is not in the vocabulary; names the text.
    """
    found = Drift()
    for number, ids in enumerate(written):
        try:
            changed = changed_tokens(tokenizer, ids)
        except ValueError as error:
            raise AuditError(f"text {number} that was written: {error}") from error
        valid = _is_text(tokenizer.vocabulary.decode(ids))
        found = Drift(
            texts=found.texts + 1,
            tokens=found.tokens + int(np.isin(ids, sorted(tokenizer.vocabulary.specials), invert=True).sum()),
            texts_changed=found.texts_changed + bool(changed.any()),
            tokens_changed=found.tokens_changed + int(changed.sum()),
            invalid=found.invalid + (not valid),
            first_changed=number if found.first_changed is None and changed.any() else found.first_changed,
            first_invalid=number if found.first_invalid is None and not valid else found.first_invalid,
        )
    return found


def _again(tokenizer: Tokenizer, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of a text, and the bytes of it that they stand for; of a space that the tokenizer puts before it, one
    only."""
    found = tokenizer.encode(data)
    if data.startswith(b" ") and tokenizer.vocabulary.decode(found.ids) == b" " + data:
        ids = tokenizer.encode(data[1:]).ids
        return ids, tokenizer.vocabulary.lengths[ids]
    return found.ids, found.nbytes


def _starts(nbytes: np.ndarray) -> list[int]:
    ends = np.cumsum(nbytes, dtype=np.int64)
    return (ends - nbytes).tolist()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
