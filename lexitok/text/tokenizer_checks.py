"""A tokenizer held against its own library and against the bytes of a text."""

import dataclasses
import time
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from lexitok.text.token_bytes import missing_bytes
from lexitok.text.tokenizer_losses import LossReport, report_losses
from lexitok.text.vocabulary import Tokenizer, Vocabulary


@runtime_checkable
class HasLibrary(Protocol):
    """A tokenizer whose encoding is done by a library."""

    def library_ids(self, text: str) -> list[int]:
        """The tokens that the library gives for a text by itself."""
        ...


@dataclasses.dataclass(frozen=True)
class TokenizerCheck:
    """What was found on some documents.

    Attributes:
      documents, raw_bytes, tokens: in all.
      seconds: that encoding took.
      differing: numbers of documents whose tokens are not the library's, among those that are UTF-8; None where there
        is no library to ask.
      broken: numbers of documents whose byte counts do not add up, or that are flagged wrongly. There are none.
      losses: what the tokens do not hold of the text.
    """

    documents: int
    raw_bytes: int
    tokens: int
    seconds: float
    differing: tuple[int, ...] | None
    broken: tuple[int, ...]
    losses: LossReport

    def line(self) -> str:
        """The figures in one line."""
        library = "no library" if self.differing is None else f"{len(self.differing)} differ from the library"
        return (
            f"{self.documents} documents, {self.raw_bytes} bytes, {self.raw_bytes / max(self.tokens, 1):.3f} bytes a "
            f"token, {self.raw_bytes / max(self.seconds, 1e-9) / 1e6:.2f} MB/s; {library}; {len(self.broken)} broken"
        )


def check_tokenizer(tokenizer: Tokenizer, documents: Iterable[bytes]) -> TokenizerCheck:
    """Encodes documents, and compares.

    Documents that are not valid UTF-8 are not shown to the library, which reads text.
    """
    seen = list(documents)
    start = time.perf_counter()
    encodings = [tokenizer.encode(data) for data in seen]
    seconds = time.perf_counter() - start
    broken, differing = [], []
    for number, (data, encoding) in enumerate(zip(seen, encodings, strict=True)):
        exact = tokenizer.vocabulary.decode(encoding.ids) == data
        if encoding.nbytes.sum() != len(data) or encoding.lossy == exact:
            broken.append(number)
        if isinstance(tokenizer, HasLibrary) and _library(tokenizer, data) not in (None, encoding.ids.tolist()):
            differing.append(number)
    return TokenizerCheck(
        documents=len(seen),
        raw_bytes=sum(map(len, seen)),
        tokens=sum(len(encoding.ids) for encoding in encodings),
        seconds=seconds,
        differing=tuple(differing) if isinstance(tokenizer, HasLibrary) else None,
        broken=tuple(broken),
        losses=report_losses(tokenizer, seen),
    )


def describe(vocabulary: Vocabulary) -> str:
    """Size, frames, roles and missing bytes of a vocabulary, in lines."""
    frames = {"bos": vocabulary.bos, "eot": vocabulary.eot, "pad": vocabulary.pad, **vocabulary.roles}
    named = ", ".join(f"{role} {i} {vocabulary.names.get(i, '(no name)')}" for role, i in frames.items())
    missing = missing_bytes(vocabulary)
    lines = (
        f"{vocabulary.size} ids, {len(vocabulary.specials)} of them special, the longest of "
        f"{int(vocabulary.lengths.max())} bytes",
        f"roles: {named}",
        f"single bytes missing: {len(missing)}{f' ({missing[:16].hex(chr(32))} ...)' if missing else ''}",
    )
    return "\n".join(lines)


def _library(tokenizer: HasLibrary, data: bytes) -> list[int] | None:
    """The library's tokens, None for what is no text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return tokenizer.library_ids(text)
