"""Whether a number of bits per byte is one: a text, a tokenizer, and what somebody or a model says of its tokens.

No JAX is needed for any of it.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from lexitok.text.audit.claims import Claims, check_claims
from lexitok.text.audit.documents import DocumentAudit, audit_document
from lexitok.text.audit.logs import AuditError, TokenLog
from lexitok.text.audit.miscounts import MISCOUNTS
from lexitok.text.bits import bits_per_byte
from lexitok.text.vocabulary import Tokenizer

FORMAT = "lexitok audit 1"
_SHOWN = 5  # documents that are named where there are more


@dataclasses.dataclass(frozen=True)
class Audit:
    """What was found on a text.

    Attributes:
      documents: each by itself, in order.
      sha256: of the documents, each behind its length (8 bytes, little-endian).
      fingerprint: of the vocabulary.
      miscounted: by the name of a miscount, what the tokens of text that were scored would be counted for.
      counted: bytes that these tokens stand for, by themselves.
      claims: what was said of tokens' bytes; None where nothing was.
      window, of_window: tokens at which documents were to be cut, and the nats of those before; 0 where none was asked
        for.
    """

    documents: tuple[DocumentAudit, ...]
    sha256: str
    fingerprint: str
    miscounted: dict[str, int]
    counted: int
    claims: Claims | None
    window: int = 0
    of_window: float = math.nan

    def total(self, name: str) -> Any:
        """The sum of an attribute over documents; of floats, to the last digit."""
        values = [getattr(document, name) for document in self.documents]
        return math.fsum(values) if any(isinstance(value, float) for value in values) else sum(values)

    @property
    def lossless(self) -> bool:
        """Whether every document's tokens give it back."""
        return all(document.lossless for document in self.documents)

    @property
    def fraction_scored(self) -> float:
        """Of the bytes of the text; NaN where there are none."""
        return self.total("scored_bytes") / self.total("nbytes") if self.total("nbytes") else math.nan

    @property
    def bpb(self) -> float:
        """Bits per byte of what was scored, of all documents whose tokens are the text's; NaN without a model."""
        return _bpb(self._nats(), self.total("scored_bytes"))

    def _nats(self, of: str = "nats") -> float:
        return math.fsum(getattr(document, of) for document in self.documents if document.counts)

    def mistaken(self) -> dict[str, dict[str, float | None]]:
        """By the name of a mistake, the bits per byte that it would give (None without a model), and per cent of what
        is right by which it would be off. Those that change nothing here are left out."""
        nbytes, scored = self.total("nbytes"), self.total("scored_bytes")
        ratios = {n: self.counted / count for n, count in self.miscounted.items() if count and count != self.counted}
        if self.counted and self.counted != scored:
            ratios["the tokens' bytes for the text's"] = scored / self.counted
        found = {name: (self.bpb * ratio, 100 * (ratio - 1)) for name, ratio in ratios.items()}
        if not math.isnan(self.bpb) and self.bpb:
            others = {
                "specials in the numerator": _bpb(self._nats() + self._nats("special_nats"), scored),
                "what was not scored in the denominator": _bpb(self._nats(), nbytes),
                "the mean of the documents": _mean_of_documents(self.documents),
                f"documents cut at {self.window} tokens, divided by their full length": _bpb(self.of_window, nbytes),
            }
            found |= {n: (bpb, 100 * (bpb / self.bpb - 1)) for n, bpb in others.items() if bpb not in (self.bpb, 0.0)}
        return {
            name: {"bpb": None if math.isnan(bpb) else bpb, "per_cent": per_cent}
            for name, (bpb, per_cent) in found.items()
            if not math.isnan(per_cent)
        }

    def to_json(self) -> dict[str, Any]:
        """All of it, for others to check: what is not defined is null."""
        totals = ("nbytes", "tokens", "token_bytes", "scored_bytes", "specials")
        found = {
            "format": FORMAT,
            "text_sha256": self.sha256,
            "vocabulary": self.fingerprint,
            "lossless": self.lossless,
            **{name: self.total(name) for name in totals},
            "fraction_scored": self.fraction_scored,
            "nats": self._nats(),
            "special_nats": self._nats("special_nats"),
            "bpb": self.bpb,
            "bpb_is": "nats / (ln 2 * scored_bytes)",
            "mistakes": self.mistaken(),
            "claims": None if self.claims is None else dataclasses.asdict(self.claims),
            "documents": [_of_document(document) for document in self.documents],
        }
        return _defined(found)

    def lines(self) -> list[str]:
        """The audit as text: what is wrong first, then the number, then what mistakes would make of it."""
        return [*self._of_bytes(), *self._of_claims(), *self._of_number(), *self._of_mistakes()]

    def _of_bytes(self) -> list[str]:
        documents, not_whole = self.documents, [d for d in self.documents if not d.lossless]
        lines = [
            f"{len(documents)} documents, {self.total('nbytes')} bytes; {self.total('tokens')} tokens stand for "
            f"{self.total('token_bytes')}: " + ("the same, document by document" if self.lossless else "not the same")
        ]
        if not_whole:
            lines.append(f"{len(not_whole)} documents are not what their tokens stand for:")
        lines += [f"  {line}" for document in not_whole[:_SHOWN] for line in _difference(document)]
        return lines + ([f"  ... and {len(not_whole) - _SHOWN} more"] if len(not_whole) > _SHOWN else [])

    def _of_claims(self) -> list[str]:
        claims = self.claims
        if claims is None:
            return []
        if not claims.differing:
            return [f"bytes that were counted: those of all {claims.tokens} tokens are right"]
        number, index, i, said, there = claims.first or (0, 0, 0, 0, 0)
        lines = [
            f"bytes that were counted: {claims.nbytes}, and there are {claims.exact}; {claims.differing} of "
            f"{claims.tokens} tokens are wrong, the first: {self.documents[number].name}, token {index} (id {i}) "
            f"counted for {said}, stands for {there}"
        ]
        for name, count in claims.explained.items():
            lines.append(f"  {count} of them are {MISCOUNTS[name].said} (`{name}`)")
        return lines

    def _of_number(self) -> list[str]:
        if math.isnan(self.bpb):
            return []
        return [
            f"{self.bpb!r} bits per byte = {self._nats()!r} nats / (ln 2 * {self.total('scored_bytes')} bytes); "
            f"{100 * self.fraction_scored:.6g} % of the text is scored",
            f"apart: {self.total('specials')} specials, {self._nats('special_nats')!r} nats",
        ]

    def _of_mistakes(self) -> list[str]:
        mistakes = self.mistaken()
        lines = ["mistakes, and what they would give here:"] if mistakes else []
        for name, found in sorted(mistakes.items(), key=lambda item: -abs(item[1]["per_cent"] or 0)):
            bpb = "" if found["bpb"] is None else f"{found['bpb']:.4f} bits per byte, "
            lines.append(f"  {found['per_cent']:+8.2f} %  {bpb}{_said(name)}")
        return lines


def audit(
    tokenizer: Tokenizer,
    documents: Iterable[tuple[str, bytes]],
    logs: Iterable[TokenLog] | None = None,
    *,
    within: Collection[int] = (),
    window: int = 0,
) -> Audit:
    """Holds a text's tokens against its bytes, and what is said of them against what they are.

    Args:
      tokenizer: any.
      documents: names and raw bytes.
      logs: of the documents, in their order; None: the tokenizer's own tokens, of which nothing is said.
      within: specials whose nats are the text's, as those that end a unit.
      window: tokens; what would come out if documents were cut there, and divided by their full length. 0: not asked.

    Raises:
      AuditError: there are more or fewer logs than documents, or a log has an id that is no token.
    """
    vocabulary, digest = tokenizer.vocabulary, hashlib.sha256()
    found: list[DocumentAudit] = []
    kept: list[tuple[int, TokenLog]] = []
    used, of_window = np.zeros(vocabulary.size, np.int64), [] if window else [math.nan]
    pairs = ((d, None) for d in documents) if logs is None else itertools.zip_longest(documents, logs)
    for number, (document, log) in enumerate(pairs):
        if document is None or (log is None and logs is not None):
            raise AuditError(
                f"{'log' if document is None else 'text'} goes on behind document {number}, and not the other"
            )
        name, data = document
        digest.update(len(data).to_bytes(8, "little") + data)
        of_document, text = audit_document(tokenizer, name, data, log, within)
        found.append(of_document)
        if of_document.counts:
            scored = slice(None) if text.nats is None else ~np.isnan(text.nats)
            used += np.bincount(text.ids[scored], minlength=vocabulary.size)
        if text.nbytes is not None:
            kept.append((number, text))
        if window and of_document.counts and text.nats is not None:
            of_window.append(float(np.nansum(text.nats[:window])))
    return Audit(
        documents=tuple(found),
        sha256=digest.hexdigest(),
        fingerprint=vocabulary.fingerprint,
        miscounted={name: int(used @ way.lengths(vocabulary)) for name, way in MISCOUNTS.items()},
        counted=int(used @ vocabulary.lengths),
        claims=check_claims(vocabulary, kept),
        window=window,
        of_window=math.fsum(of_window),
    )


def _bpb(nats: float, nbytes: int) -> float:
    return bits_per_byte(nats, float(nbytes))


def _mean_of_documents(documents: Iterable[DocumentAudit]) -> float:
    each = [_bpb(d.nats, d.scored_bytes) for d in documents if d.scored_bytes]
    return math.fsum(each) / len(each) if each else math.nan


def _difference(document: DocumentAudit) -> list[str]:
    wrong = document.wrong
    if document.space:
        return [f"{document.name}: a space stands before the text, one byte that it does not have"]
    if wrong is None:
        return [f"{document.name}: tokens stand for the first {document.token_bytes} of {document.nbytes} bytes"]
    return [
        f"{document.name}: token {wrong.index} (id {wrong.id}) stands for {wrong.token!r}, the text has {wrong.text!r} "
        f"at byte {wrong.offset}" + ("" if document.counts else "; it is left out of bits per byte")
    ]


def _said(name: str) -> str:
    return f"{MISCOUNTS[name].said} (`{name}`)" if name in MISCOUNTS else name


def _of_document(document: DocumentAudit) -> dict[str, Any]:
    found: dict[str, Any] = dataclasses.asdict(document)
    if (wrong := document.wrong) is not None:
        found["wrong"] = dataclasses.asdict(wrong) | {"token": wrong.token.hex(), "text": wrong.text.hex()}
    return found | {"lossless": document.lossless}


def _defined(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _defined(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(of) for of in value]
    return None if isinstance(value, float) and math.isnan(value) else value
