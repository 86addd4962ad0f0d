"""Documents → batches: pieces are packed into rows under all budgets at once, symbols and units of all streams.

As Grain's best-fit packing does, a group of rows is filled until a piece fits into none of them, each piece going to
the row that it leaves fullest; then the group's rows are shuffled and given out. A group here is a whole number of
batches, and indices of units become indices of the row as pieces are put into it. Grain's own packing gives the same
rows (tested), but takes 0.2 ms a piece, which is more than all the rest of the pipeline.
"""

import dataclasses
import operator
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import grain
import jax
import numpy as np

from lexitok.data.aligned_streams import cut_together
from lexitok.data.batch import Batch, Budget, Tokenisation, Tokens
from lexitok.data.encoders import Encoder
from lexitok.data.layout import Piece, cut
from lexitok.data.readers import SourceError
from lexitok.data.report import PipelineReport
from lexitok.data.rows import Rows
from lexitok.data.sources import RawDocument
from lexitok.text.alignment import classes_of

_ACCOUNT = [field.name for field in dataclasses.fields(PipelineReport)]
_BYTES_IN, _DOCUMENTS, _LOSSY, _EMPTY = map(
    _ACCOUNT.index, ("bytes_in", "documents", "lossy_documents", "empty_documents")
)
EMPTY_AT_MOST = 1_000_000  # documents in a row, before it is taken for a mistake


@dataclasses.dataclass(frozen=True)
class Packing:
    """How rows are packed.

    Attributes:
      rows: of a batch.
      first, others: budgets of a row for each tokenisation.
      bins: rows that are filled at once; rounded up to whole batches.
      seed: of the order of rows in a group.
      share: which part of a batch's rows is given out, and of how many, that divide the rows.
    """

    rows: int
    first: Budget
    others: tuple[Budget, ...]
    bins: int
    seed: int
    share: tuple[int, int] = (0, 1)

    @property
    def group_rows(self) -> int:
        return -(-max(self.bins, self.rows) // self.rows) * self.rows


class Packed(NamedTuple):
    """A batch of numpy arrays, and what it adds to a `PipelineReport`: int64, its attributes in order."""

    batch: Batch
    account: np.ndarray


class PackIterDataset(grain.IterDataset):
    """Raw documents → `Packed` batches."""

    def __init__(self, parent: grain.IterDataset, cutter: "Cutter", packing: Packing):
        super().__init__(parent)
        self._cutter = cutter
        self._packing = packing

    def __iter__(self) -> grain.DatasetIterator:
        return PackIterator(iter(self._parent), self._cutter, self._packing)


@dataclasses.dataclass(frozen=True)
class CutDocument:
    """A document, or a part of one, in pieces.

    Attributes:
      pieces: its pieces.
      nbytes: raw bytes that each of them takes.
      lossy: whether a tokenizer changed the document.
      ends: whether the last piece is the document's last.
    """

    pieces: list[Piece]
    nbytes: list[int]
    lossy: bool
    ends: bool = True


class Cutter:
    """Raw documents to pieces: by one encoder, or by several whose streams are cut together.

    Args:
      packing: has the budgets.
      encoders: of the documents of each source.
      others: of all documents, other ones.
    """

    def __init__(self, packing: Packing, encoders: Sequence[Encoder], others: Sequence[Tokenisation] = ()):
        self._packing, self._encoders, self._others = packing, encoders, others
        if others:
            self._classes = [classes_of(e.vocabulary) for e in (encoders[0], *(other.encoder for other in others))]

    def __call__(self, raw: RawDocument) -> CutDocument:
        """Raises ValueError where budgets are too small for it, PredictionsError for predictions of another text."""
        stream, lossy = self._encoders[raw.source].measure(raw.data, raw.id)
        first = self._packing.first
        if not self._others:
            pieces = cut(stream, first.S, first.W)
            return CutDocument(pieces, raw_bytes(pieces, stream.nbytes, len(raw.data)), lossy)
        streams, are_lossy = zip(*(other.encoder.measure(raw.data, raw.id) for other in self._others), strict=True)
        predictions = [
            None if other.kept is None else other.kept.of(raw, len(of_it))
            for other, of_it in zip(self._others, streams, strict=True)
        ]
        budgets = (first, *self._packing.others)
        pieces = cut_together((stream, *streams), budgets, self._classes, raw.id, predictions)
        return CutDocument(pieces, raw_bytes(pieces, stream.nbytes, len(raw.data)), lossy or any(are_lossy))


def raw_bytes(pieces: list[Piece], nbytes: np.ndarray, total: int) -> list[int]:
    """The raw bytes that each piece takes: of a text of `total` bytes whose symbols stand for `nbytes`."""
    starts = np.cumsum([0] + [len(piece) for piece in pieces[:-1]])
    found = np.add.reduceat(nbytes, starts, dtype=np.int64).tolist()
    found[-1] = total - sum(found[:-1])  # what the encoder or the cut had left of the document would show as dropped
    return found


class PackIterator(grain.DatasetIterator):
    """Its state is where the group at hand began (a document, and a piece in it) and how much of it was given out."""

    def __init__(self, parent: grain.DatasetIterator, cutter: Cutter, packing: Packing):
        super().__init__(parent)
        self._cutter = cutter
        self._packing = packing
        self._begin({"parent": parent.get_state(), "pieces": 0, "group": 0, "given": 0})

    def _begin(self, state: dict[str, Any]) -> None:
        self._state: dict[str, Any] = state
        self._batches: list[Packed] = []
        self._document: CutDocument | None = None  # in the middle of which a group ended
        self._document_state = state["parent"]

    def get_state(self) -> dict[str, Any]:
        return dict(self._state)

    def set_state(self, state: dict[str, Any]) -> None:
        self._parent.set_state(state["parent"])
        self._begin(dict(state))

    def __next__(self) -> Packed:
        if not self._batches:
            self._batches = self._packed_group()
        state = self._state
        batch = self._batches[state["given"]]
        self._state = state | {"given": state["given"] + 1}
        if self._state["given"] == len(self._batches):
            self._state = self._next_group | {"group": state["group"] + 1, "given": 0}
            self._batches = []
        return batch

    def _packed_group(self) -> list[Packed]:
        group = Group(self._packing)
        first = self._state["pieces"]
        while (document := self._next_document(group)) is not None:
            taken = group.take(document, first)
            if taken < len(document.pieces):
                self._next_group = {"parent": self._document_state, "pieces": taken}
                break
            self._document, first = None, 0
        return list(group.batches((self._packing.seed, self._state["group"])))

    def _next_document(self, group: "Group") -> CutDocument | None:
        """The document at hand, or the next one that is not empty; None after the last one, if the group has any."""
        while self._document is None:
            before = self._parent.get_state()
            try:
                raw = next(self._parent)
            except StopIteration:
                if group.is_empty:
                    raise
                self._next_group = {"parent": before, "pieces": 0}
                return None
            self._document_state = before
            if raw.data:
                self._document = self._cutter(raw)
            elif (seen := group.count_empty()) >= EMPTY_AT_MOST and group.is_empty:
                raise SourceError(f"{raw.id}: {seen} documents in a row are empty; is data.field the right one?")
        return self._document


class Group:
    """Rows that are being filled: one large batch."""

    def __init__(self, packing: Packing):
        self._packing = packing
        self._rows = Rows(packing.group_rows, packing.first, packing.others, fit="best")
        self._accounts = np.zeros((packing.group_rows, len(_ACCOUNT)), np.int64)

    @property
    def is_empty(self) -> bool:
        return not self._rows.pieces.any()

    def count_empty(self) -> int:
        """Notes an empty document; returns how many there have been."""
        self._accounts[0, _EMPTY] += 1
        return int(self._accounts[0, _EMPTY])

    def take(self, document: CutDocument, first: int) -> int:
        """Takes pieces from `first` on as long as they fit; returns the number of the first one that did not."""
        last = len(document.pieces) - 1
        for number in range(first, last + 1):
            piece = document.pieces[number]
            row = self._rows.row_for(piece)
            if row is None:
                return number
            self._rows.put(row, piece)
            self._accounts[row, _BYTES_IN] += document.nbytes[number]
            if number == last and document.ends:
                self._accounts[row, _DOCUMENTS] += 1
                self._accounts[row, _LOSSY] += document.lossy
        return last + 1

    def batches(self, seed: Sequence[int]) -> Iterator[Packed]:
        """The batches of the group, rows in random order. Of the last group of all, unused rows come last.

        The order and the rows' seeds are those of whole batches, whatever the share.
        """
        group, pieces = self._rows.batch, self._rows.pieces
        used = int((pieces > 0).sum())
        order = np.append(np.random.default_rng(seed).permutation(used), np.arange(used, len(pieces)))
        # Other processes and workers have groups of the same numbers: what is in the rows tells them apart.
        own = np.random.default_rng((*seed, zlib.crc32(group.tokens.symbols_BxS)))
        group.seeds_B[:] = own.integers(0, 1 << 31, len(pieces))
        part, parts = self._packing.share
        each = self._packing.rows // parts
        for start in range(part * each, used + part * each, self._packing.rows):
            rows = order[start : start + each]
            batch = jax.tree.map(operator.itemgetter(rows), group)
            yield Packed(batch, self._accounts[rows].sum(axis=0) + _batch_account(batch))


def _batch_account(batch: Batch) -> np.ndarray:
    read = int(batch.tokens.bytes_BxS.sum())
    report = PipelineReport(batches=1, bytes_read=read, **_counts(batch.tokens, ""))
    if batch.others:
        found = [_counts(other.tokens, "other_") for other in batch.others]
        least = min(each.pop("other_bytes_scored") for each in found)
        sums = {name: sum(each[name] for each in found) for name in found[0]}
        vars(report).update(sums, other_bytes_scored=least)
    return np.array(dataclasses.astuple(report), np.int64)


def _counts(tokens: Tokens, prefix: str) -> dict[str, int]:
    segments, units = tokens.segments_BxS, tokens.units
    counts = {
        "symbols": int(np.count_nonzero(segments)),
        "symbol_capacity": segments.size,
        "units": 0 if units is None else int(np.count_nonzero(units.segments_BxW)),
        "unit_capacity": 0 if units is None else units.segments_BxW.size,
        "bytes_scored": int(tokens.bytes_BxS.sum(where=tokens.weights_BxS > 0)),
    }
    return {prefix + name: count for name, count in counts.items()}
