"""What a tokenizer loses on a text: found by the bytes of its tokens, named and counted.

Each token stands for a share of the raw text (`Encoding.nbytes`) and has bytes of its own; where the two differ,
something was added, dropped or changed. What differs is compared by characters and named by the coarsest view in which
both sides are the same.
"""

import collections
import dataclasses
import difflib
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np

from lexitok.text.vocabulary import Encoding, Tokenizer

KINDS = {
    "dummy prefix": "a space was put before the text",
    "spaces": "white space was dropped, collapsed, added or changed",
    "unknown": "there is no token for it",
    "invalid UTF-8": "bytes that are no text were changed",
    "case": "upper case became lower case",
    "normal form": "characters were replaced by equivalent ones (NFC, NFKC and the like)",
    "accents": "marks were dropped from letters",
    "dropped": "characters were left out",
    "other": "something else",
}
_TOGETHER = 400  # characters up to which a change is taken apart


@dataclasses.dataclass(frozen=True)
class Loss:
    """One place where tokens do not stand for the text.

    Attributes:
      document: its number, from 0.
      offset: of the first raw byte.
      kind: one of `KINDS`.
      raw: what the text has.
      tokens: what the tokens have.
    """

    document: int
    offset: int
    kind: str
    raw: bytes
    tokens: bytes


@dataclasses.dataclass
class LossReport:
    """What was lost on some documents.

    Attributes:
      documents, raw_bytes: read in all.
      documents_touched: those that came out changed.
      bytes_touched: raw bytes that were dropped or changed.
      places: how often each kind came up.
      bytes: raw bytes that each kind touched.
      examples: the first places of each kind.
    """

    documents: int = 0
    raw_bytes: int = 0
    documents_touched: int = 0
    bytes_touched: int = 0
    places: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    bytes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    examples: list[Loss] = dataclasses.field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether nothing was lost."""
        return not self.documents_touched

    def lines(self) -> list[str]:
        """The report as text."""
        head = f"{self.documents_touched} of {self.documents} documents, {self.bytes_touched} of {self.raw_bytes} bytes"
        return [head] + [
            f"  {kind}: {n} places, {self.bytes[kind]} bytes; "
            + ", ".join(f"{loss.raw!r} as {loss.tokens!r}" for loss in self.examples if loss.kind == kind)
            for kind, n in self.places.most_common()
        ]


def report_losses(tokenizer: Tokenizer, documents: Iterable[bytes], *, examples: int = 3) -> LossReport:
    """What a tokenizer loses on documents.

    Args:
      tokenizer: any.
      documents: raw.
      examples: of each kind, that are kept.
    """
    report = LossReport()
    for number, data in enumerate(documents):
        encoding = tokenizer.encode(data)
        report.documents += 1
        report.raw_bytes += len(data)
        report.documents_touched += encoding.lossy
        for loss in _losses(tokenizer, encoding, data, number) if encoding.lossy else ():
            report.places[loss.kind] += 1
            report.bytes[loss.kind] += len(loss.raw)
            report.bytes_touched += len(loss.raw)
            if report.places[loss.kind] <= examples:
                report.examples.append(loss)
    return report


def _losses(tokenizer: Tokenizer, encoding: Encoding, data: bytes, document: int) -> Iterator[Loss]:
    """The places of one document, in order."""
    unknown = tokenizer.vocabulary.roles.get("unknown")
    tokens = [tokenizer.vocabulary.token_bytes[i] for i in encoding.ids.tolist()]
    ends = np.cumsum(encoding.nbytes, dtype=np.int64).tolist()
    is_unknown = (encoding.ids == unknown).tolist() if unknown is not None else [False] * len(tokens)
    for first, last in _runs(tokens, ends, data):
        begin = ends[first - 1] if first else 0
        raw, own = data[begin : ends[last - 1]], b"".join(tokens[first:last])
        if any(is_unknown[first:last]):
            yield Loss(document, begin, "unknown", raw, own)
            continue
        for offset, before, after in _changes(raw, own):
            kind = "dummy prefix" if begin + offset == 0 and (before, after) == (b"", b" ") else _kind(before, after)
            yield Loss(document, begin + offset, kind, before, after)


def _runs(tokens: list[bytes], ends: list[int], data: bytes) -> Iterator[tuple[int, int]]:
    """Neighbouring tokens `[first, last)` that are not what their shares of the text are.

    A run closes behind a token that begins or ends as its share does: what is missing there is its own affair.
    """
    first, begin = None, 0
    for i, (token, end) in enumerate(zip(tokens, ends, strict=True)):
        share = data[begin:end]
        begin = end
        if token == share:
            if first is not None:
                yield first, i
            first = None
            continue
        first = i if first is None else first
        if token and share and (share.startswith(token) or share.endswith(token)):
            yield first, i + 1
            first = None
    if first is not None:
        yield first, len(tokens)


def _changes(raw: bytes, own: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """What was changed between the two: offset, before, after."""
    a, b = raw.decode("utf-8", "surrogateescape"), own.decode("utf-8", "surrogateescape")
    if max(len(a), len(b)) > _TOGETHER:
        yield 0, raw, own
        return
    for what, i, j, k, l in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if what != "equal":
            yield from _peeled(len(_raw(a[:i])), a[i:j], b[k:l])


def _peeled(offset: int, before: str, after: str) -> Iterator[tuple[int, bytes, bytes]]:
    """A change, and dropped white space at its ends as changes of their own."""
    core = before.strip()
    if not core or after.strip() != after:
        yield offset, _raw(before), _raw(after)
        return
    at = before.index(core)
    for part, own in ((before[:at], ""), (core, after), (before[at + len(core) :], "")):
        if part != own:
            yield offset, _raw(part), _raw(own)
        offset += len(_raw(part))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _kind(before: bytes, after: bytes) -> str:
    try:
        a, b = before.decode(), after.decode()
    except UnicodeDecodeError:
        return "invalid UTF-8"
    if not a.strip() and not b.strip():
        return "spaces"
    if not b:
        return "dropped" if not all(unicodedata.category(c).startswith("M") for c in a) else "accents"
    for kind, view in _VIEWS:
        if view(a) == view(b):
            return kind
    return "other"


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _bare(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.category(c).startswith("M")).lower()


_VIEWS = (
    ("case", str.lower),
    ("normal form", _compatible),
    ("case", lambda text: _compatible(_compatible(text).lower())),
    ("accents", _bare),
    ("spaces", lambda text: "".join(text.split())),
)
