"""What a transfer did to the tokens where transfers break: digits, white space, code, other scripts."""

import dataclasses
import re
from collections.abc import Iterator

import numpy as np

from lexitok.text.vocabulary import Tokenizer, Vocabulary
from lexitok.transfer.provenance import COPIED, MADE, UNMATCHED, Provenance, shown

# The first that fits; by bytes, so that parts of characters are told apart too.
CLASSES: dict[str, re.Pattern[bytes]] = {
    "digits": re.compile(rb" ?[0-9]+"),
    "white space": re.compile(rb"[ \t\r\n]+"),
    "code": re.compile(rb"[ \t\r\n]*[!-/:-@\[-`{-~\x00-\x1f]+[ \t\r\n]*"),
    "English letters": re.compile(rb"[ \n]?[A-Za-z']+"),
    "several words": re.compile(rb" ?[^ \t\r\n]+( [^ \t\r\n]+)+ ?"),
    "other ASCII": re.compile(rb"[\x00-\x7f]+"),
    "other": re.compile(rb".*", re.DOTALL),
}
_SHOWN = 12  # specials
PROBES = ("1234567", "3.14159", "        return", "\n\n\n", "x += 1;", "Größe", "世界")


@dataclasses.dataclass(frozen=True)
class ClassCount:
    """Tokens of a class in the new vocabulary.

    Attributes:
      tokens: how many.
      copied: of these, those whose row is that of the same bytes.
      parts: of the others, how many of the source's tokens their rows are made of, the mean; NaN where there are none.
    """

    tokens: int
    copied: int
    parts: float


def count_classes(target: Vocabulary, provenance: Provenance) -> dict[str, ClassCount]:
    """The classes of `CLASSES` that the vocabulary has tokens of."""
    names = np.array([class_of(token) for token in target.token_bytes])
    parts = np.diff(provenance.weights_VxU.indptr)
    found = {}
    for name in CLASSES:
        of_class = (names == name) & (target.lengths > 0)
        made = of_class & (provenance.kind_V == MADE)
        if of_class.any():
            mean = float(parts[made].mean()) if made.any() else float("nan")
            found[name] = ClassCount(int(of_class.sum()), int((of_class & (provenance.kind_V == COPIED)).sum()), mean)
    return found


def class_of(token: bytes) -> str:
    """The first of `CLASSES` that the bytes of a token are of; none fits but `other` where there are no bytes."""
    return next(name for name, pattern in CLASSES.items() if pattern.fullmatch(token))


def report(source: Tokenizer, target: Tokenizer, provenance: Provenance) -> str:
    """The audit as text: classes, how both tokenizers cut `PROBES`, and specials without a row of their own."""
    parts = (_classes(target.vocabulary, provenance), _probes(source, target), _specials(target.vocabulary, provenance))
    return "\n\n".join("\n".join(lines) for lines in parts)


def _classes(target: Vocabulary, provenance: Provenance) -> Iterator[str]:
    yield f"| tokens | in the new vocabulary | copied | parts of the others ({provenance.method}) |"
    yield "|---|---:|---:|---:|"
    for name, count in count_classes(target, provenance).items():
        parts = "–" if np.isnan(count.parts) else f"{count.parts:.1f}"
        yield f"| {name} | {count.tokens:,} | {count.copied / count.tokens:.1%} | {parts} |"


def _probes(source: Tokenizer, target: Tokenizer) -> Iterator[str]:
    yield "| text | before | now |"
    yield "|---|---|---|"
    for text in PROBES:
        cut = ["·".join(_pieces(tokenizer, text)) for tokenizer in (source, target)]
        yield f"| `{_visible(text)}` | `{cut[0]}` | `{cut[1]}` |"


def _pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [_visible(shown(tokenizer.vocabulary, int(i))) for i in tokenizer.encode(text.encode()).ids]


def _visible(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", "\\t").replace(" ", "␣").replace("|", "\\|")


def _specials(vocabulary: Vocabulary, provenance: Provenance) -> Iterator[str]:
    unmatched = np.flatnonzero(provenance.kind_V == UNMATCHED).tolist()
    named = [vocabulary.names[i] for i in unmatched if i in vocabulary.names]
    some = f" ({', '.join(named[:_SHOWN])}{', …' if len(named) > _SHOWN else ''})" if named else ""
    yield f"Specials that the old tokenizer has no counterpart of, with the mean of all rows: {len(named)}{some}"
