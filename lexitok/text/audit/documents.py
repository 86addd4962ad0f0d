"""A document's tokens held against its bytes."""

import dataclasses
import math
from collections.abc import Collection

import numpy as np

from lexitok.text.audit.logs import AuditError, TokenLog
from lexitok.text.vocabulary import Encoding, Tokenizer, Vocabulary


@dataclasses.dataclass(frozen=True)
class WrongToken:
    """The first token that does not stand for what the text has at its place.

    Attributes:
      index, id: its place among the document's tokens, and which it is.
      offset: the byte of the text at which it would begin.
      token: what it stands for.
      text: as many bytes of the text, there.
    """

    index: int
    id: int
    offset: int
    token: bytes
    text: bytes


@dataclasses.dataclass(frozen=True)
class DocumentAudit:
    """What a document's tokens are, byte for byte.

    Attributes:
      name: of the document.
      nbytes: of the raw text.
      tokens: of text; specials are apart.
      token_bytes: that the tokens stand for, by themselves.
      wrong: the first token that stands for something else than the text; None where there is none.
      space: a space was put before the text: the tokens are right, and stand for one byte more.
      counts: whether it is in a number of bits per byte: its tokens are the text's, or the tokenizer's own for it.
      scored_bytes: of the text, in tokens that were scored; all that tokens stand for, where no model was asked; 0
        where it does not count.
      nats: of the tokens of text that were scored; NaN where no model was asked.
      specials, special_nats: tokens that are no text, of which those that were scored, and their nats.
    """

    name: str
    nbytes: int
    tokens: int
    token_bytes: int
    wrong: WrongToken | None
    space: bool
    counts: bool
    scored_bytes: int
    nats: float
    specials: int
    special_nats: float

    @property
    def lossless(self) -> bool:
        """Whether the tokens give the text back, to the last byte."""
        return self.wrong is None and not self.space and self.token_bytes == self.nbytes


def audit_document(
    tokenizer: Tokenizer, name: str, data: bytes, log: TokenLog | None = None, within: Collection[int] = ()
) -> tuple[DocumentAudit, TokenLog]:
    """Holds a document's tokens against its bytes.

    Args:
      tokenizer: whose tokens they are.
      name, data: the raw document.
      log: its tokens, as somebody has them; None: the tokenizer's own.
      within: specials whose nats are the text's, as those that end a unit.

    Returns:
      What was found, and the log with the tokens of text alone.

    Raises:
      AuditError: an id is not in the vocabulary; names the document.
    """
    vocabulary = tokenizer.vocabulary
    encoding = tokenizer.encode(data)
    log = TokenLog(encoding.ids.astype(np.int64)) if log is None else log
    if (outside := np.flatnonzero((log.ids < 0) | (log.ids >= vocabulary.size))).size:
        at = int(outside[0])
        raise AuditError(f"{name}: token {at} is id {log.ids[at]}, and the vocabulary ends at {vocabulary.size - 1}")
    is_special = np.isin(log.ids, sorted(vocabulary.specials - set(within)))
    text, apart = _where(log, ~is_special), _where(log, is_special)
    own = np.array_equal(text.ids[_plain(vocabulary, text.ids)], encoding.ids[_plain(vocabulary, encoding.ids)])
    tokens = vocabulary.decode(text.ids)
    space = len(tokens) > 0 and tokens == b" " + data
    wrong = None if space or data.startswith(tokens) else _first_wrong(vocabulary, text.ids, tokens, data)
    if own:
        shares = _shares(vocabulary, text.ids, encoding)
    else:
        shares = vocabulary.lengths[text.ids].astype(np.int64)
        shares = _without_first_byte(shares) if space else shares
    scored = np.ones(len(text.ids), bool) if text.nats is None else ~np.isnan(text.nats)
    return DocumentAudit(
        name=name,
        nbytes=len(data),
        tokens=len(text.ids),
        token_bytes=len(tokens),
        wrong=wrong,
        space=space,
        counts=own or wrong is None,
        scored_bytes=int(shares[scored].sum()) if own or wrong is None else 0,
        nats=math.nan if text.nats is None else math.fsum(text.nats[scored]),
        specials=len(apart.ids),
        special_nats=math.nan if apart.nats is None else math.fsum(apart.nats[~np.isnan(apart.nats)]),
    ), text


def _where(log: TokenLog, at: np.ndarray) -> TokenLog:
    return TokenLog(log.ids[at], *(None if x is None else x[at] for x in (log.nats, log.nbytes)))


def _plain(vocabulary: Vocabulary, ids: np.ndarray) -> np.ndarray:
    return np.isin(ids, sorted(vocabulary.specials), invert=True)


def _shares(vocabulary: Vocabulary, ids: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Raw bytes of each token, where specials may stand between those of the tokenizer."""
    shares = np.zeros(len(ids), np.int64)
    shares[_plain(vocabulary, ids)] = encoding.nbytes[_plain(vocabulary, encoding.ids)]
    return shares


def _without_first_byte(lengths: np.ndarray) -> np.ndarray:
    """Without the space that was put before the text."""
    shares = lengths.copy()
    shares[np.flatnonzero(shares)[0]] -= 1
    return shares


def _first_wrong(vocabulary: Vocabulary, ids: np.ndarray, tokens: bytes, data: bytes) -> WrongToken:
    both = min(len(tokens), len(data))
    differs = np.flatnonzero(np.frombuffer(tokens, np.uint8, both) != np.frombuffer(data, np.uint8, both))
    at = int(differs[0]) if differs.size else both
    ends = np.cumsum(vocabulary.lengths[ids], dtype=np.int64)
    index = int(np.searchsorted(ends, at, side="right"))
    token = vocabulary.token_bytes[ids[index]]
    offset = int(ends[index]) - len(token)
    return WrongToken(index, int(ids[index]), offset, token, data[offset : offset + len(token)])
