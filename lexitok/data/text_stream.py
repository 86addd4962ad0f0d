"""Documents one behind the other, read ahead into a window that tokenizers are drawn from, and put into rows."""

import dataclasses
import functools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import grain
import numpy as np

from lexitok.data.aligned_streams import aligned
from lexitok.data.cuts import cut_offsets, cut_together_at, places
from lexitok.data.encoders import Encoder
from lexitok.data.layout import pieces_at
from lexitok.data.packing import EMPTY_AT_MOST, CutDocument, Group, raw_bytes
from lexitok.data.readers import RawDocument, SourceError
from lexitok.text.alignment import classes_of
from lexitok.text.drawn.sampler import SamplerSettings, TokenizerSampler
from lexitok.text.drawn.unigram import UnigramTokenizer


@dataclasses.dataclass(frozen=True)
class Stretch:
    """A part of a document: what of it is encoded at once.

    Attributes:
      document: what errors call the document.
      data: the bytes; none if the document is empty.
      ends: whether it is the last of its document.
      before: state of the iterator over documents before this one.
      number: of stretches before it in its document.
    """

    document: str
    data: bytes
    ends: bool
    before: Any
    number: int


def stretches(raw: RawDocument, before: Any, most: int) -> Iterator[Stretch]:
    """A document in stretches of at most `most` bytes; `before` as of `Stretch`."""
    starts = [0] if len(raw.data) <= most else cut_offsets(places(raw.data)[1:], most)
    stops = [*starts[1:], len(raw.data)]
    for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        yield Stretch(raw.id, raw.data[start:stop], stop == len(raw.data), before, number)


class Beside(NamedTuple):
    """Another tokenisation of what goes into rows.

    Attributes:
      encoder: of its symbols.
      S: of a row.
      classes: of its vocabulary (`lexitok.text.alignment.classes_of`).
    """

    encoder: Encoder
    S: int
    classes: np.ndarray


def cut_stretch(stretch: Stretch, offset: int, encoder: Encoder, S: int, beside: Sequence[Beside] = ()) -> CutDocument:
    """The pieces of a stretch from a byte on, at most `S` symbols each, cut at words or else characters if possible.

    With other tokenisations beside the encoder's they end where symbols of all do, and have all.

    Raises:
      ValueError: such places are further apart than a row is long; names the document.
    """
    rest = stretch.data[offset:]
    stream, lossy = encoder.measure(rest, stretch.document)
    stop = len(stream) if stretch.ends else len(stream) - 1  # without `eot`
    nbytes = stream.nbytes[:stop]
    if not beside:
        starts = cut_offsets(places(rest)[np.cumsum(nbytes)], S)
        pieces = pieces_at(stream, np.array(starts), stop)
        return CutDocument(pieces, raw_bytes(pieces, nbytes, len(rest)), lossy, stretch.ends)
    others, are_lossy = zip(*(each.encoder.measure(rest, stretch.document) for each in beside), strict=True)
    streams, budgets = (stream, *others), (S, *(each.S for each in beside))
    stops = [len(each) - (len(stream) - stop) for each in streams]
    try:
        starts = _shared_starts(rest, [s.nbytes[:stop] for s, stop in zip(streams, stops, strict=True)], budgets)
    except ValueError as error:
        raise ValueError(f"{stretch.document}: {error}: raise data.symbols and objective.teacher.symbols") from error
    sides = [pieces_at(s, at, stop) for s, at, stop in zip(streams, np.array(starts).T, stops, strict=True)]
    classes = [classes_of(encoder.vocabulary), *(each.classes for each in beside)]
    pieces = [aligned(of_each, classes) for of_each in zip(*sides, strict=True)]
    return CutDocument(pieces, raw_bytes(pieces, nbytes, len(rest)), lossy or any(are_lossy), stretch.ends)


def _shared_starts(text: bytes, nbytes: Sequence[np.ndarray], most: Sequence[int]) -> list[tuple[int, ...]]:
    """Where pieces begin, in symbols of these bytes each."""
    ends = [np.cumsum(each, dtype=np.int64) for each in nbytes]
    shared = functools.reduce(np.intersect1d, ends)
    shared = shared[shared > 0]
    # Symbols without bytes go with what follows them, and those behind the last byte with what is before them.
    counts = [np.searchsorted(end, shared) + 1 for end in ends]
    for count, end in zip(counts, ends, strict=True):
        count[-1] = len(end)
    return cut_together_at(places(text)[shared], counts, most)


class TextStream:
    """The text of documents, in order, under one tokenizer after the other.

    A tokenizer is drawn from the text that comes: at least a window of it is read ahead, so that the window holds
    nothing that has been put into rows, and follows from the place in the text alone. Where the documents come to an
    end it holds what is left.
    """

    def __init__(self, documents: grain.DatasetIterator, settings: SamplerSettings, stretch_bytes: int):
        """Takes what it reads.

        Args:
          documents: `RawDocument`.
          settings: what tokenizers are drawn.
          stretch_bytes: of the longest stretch of a document that is encoded at once.
        """
        self._documents, self._settings, self._most = documents, settings, stretch_bytes
        self._begin(drawn=0)

    def _begin(self, drawn: int) -> None:
        self._sampler = TokenizerSampler(self._settings, drawn)
        self._cut: deque[Stretch] = deque()  # of the last document, what has not been read ahead
        self._ahead: deque[Stretch] = deque()  # the first of them is the one at hand
        self._ahead_bytes, self._unseen = 0, 0  # how many of them, the last ones, the sampler has not seen
        self._offset = 0  # in the stretch at hand: what is before it is in rows
        self._empty, self._ended = 0, False

    @property
    def drawn(self) -> int:
        """How many tokenizers were drawn."""
        return self._sampler.drawn

    def get_state(self) -> dict[str, Any]:
        """The place in the text, as JSON holds it."""
        first = next(iter((*self._ahead, *self._cut)), None)
        before, number = (self._documents.get_state(), 0) if first is None else (first.before, first.number)
        return {"documents": before, "stretch": number, "offset": self._offset, "drawn": self.drawn}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes where `get_state` said."""
        self._documents.set_state(state["documents"])
        self._begin(state["drawn"])
        for _ in range(state["stretch"]):
            self._read()
            self._pass()
        self._offset = state["offset"]

    def sample(self) -> UnigramTokenizer | None:
        """The next tokenizer; None where there is no text left."""
        while self._ahead_bytes < self._settings.window_bytes and self._read():
            pass
        if not self._ahead:
            return None
        if self._ended:
            self._sampler, self._unseen = TokenizerSampler(self._settings, self.drawn), len(self._ahead)
        seen = len(self._ahead) - self._unseen
        self._sampler.add(stretch.data for i, stretch in enumerate(self._ahead) if i >= seen)
        self._unseen = 0
        return self._sampler.sample()

    def fill(self, group: Group, encoder: Encoder, S: int, beside: Sequence[Beside] = ()) -> None:
        """Puts text into the rows of a group, `S` symbols each, until a piece of it fits into none.

        Raises:
          ValueError: as `cut_stretch`.
        """
        while self._ahead or self._read():
            stretch = self._ahead[0]
            if stretch.data:
                cut = cut_stretch(stretch, self._offset, encoder, S, beside)
                taken = group.take(cut, 0)
                if taken < len(cut.pieces):
                    self._offset += sum(cut.nbytes[:taken])
                    return
            else:
                group.count_empty()
            self._pass()

    def _read(self) -> bool:
        """Reads one more stretch ahead; whether there was one."""
        if not self._cut:
            before = self._documents.get_state()
            try:
                raw = next(self._documents)
            except StopIteration:
                self._ended = True
                return False
            self._cut.extend(stretches(raw, before, self._most))
        stretch = self._cut.popleft()
        self._empty = 0 if stretch.data else self._empty + 1
        if self._empty >= EMPTY_AT_MOST:
            raise SourceError(f"{stretch.document}: {self._empty} documents in a row are empty; is data.field right?")
        self._ahead.append(stretch)
        self._ahead_bytes += len(stretch.data)
        self._unseen += 1
        return True

    def _pass(self) -> None:
        """Goes on to the next stretch."""
        self._ahead_bytes -= len(self._ahead.popleft().data)
        self._unseen = min(self._unseen, len(self._ahead))
        self._offset = 0
