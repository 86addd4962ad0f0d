"""Batches of merged windows: what merges are found in, the rows of the tokens that they make, and what is scored."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lexitok.data.batch import Batch
from lexitok.data.layout import Piece
from lexitok.data.rows import pack_rows
from lexitok.data.windows import ScoredRange
from lexitok.interfaces.extended import REACHES, ExtraRows
from lexitok.text.merging.merges import MergedSequence, Merges, TokenSequence, find_merges
from lexitok.text.vocabulary import Vocabulary
from lexitok.transfer.dynamic.rows import RowMaker
from lexitok.transfer.dynamic.windows import Placed, Window
from lexitok.transfer.errors import TransferError

SCOPES = ("sequence", "batch", "given")
_LEAST_ROOM = 64  # for merged tokens, for the same reason as:
_LENGTHS = 8  # rows are cut to the next of so many lengths, so that few programs are compiled


@dataclasses.dataclass(frozen=True)
class Merging:
    """What is merged.

    Attributes:
      reach: `enter`: only what is context is merged, and predictions stay those of the vocabulary; `enter_and_leave`:
        all is, and merged tokens are predicted.
      scope: what merges are found in: `sequence`: in each window for itself; `batch`: in all of a batch together; or
        they are `given`, found in other text. In what a window scores nothing is looked for by `enter`.
      merges: how many, at most.
      given: the merges, by `given`.
      compression, least: as of `lexitok.text.merging.merges.find_merges`.
      room: for the merged tokens of a batch; 0: as many as it has, up to the next power of 2, and 64 at least.
    """

    reach: str = "enter"
    scope: str = "sequence"
    merges: int = 0
    given: Merges | None = None
    compression: float = 1.0
    least: int = 1
    room: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (("reach", self.reach, REACHES), ("scope", self.scope, SCOPES)):
            if value not in known:
                raise TransferError(f"unknown {name} '{value}' of merges; there are {', '.join(known)}")
        if self.reach == "enter_and_leave" and self.scope == "sequence":
            raise TransferError(
                "one softmax is for all rows of a batch, so what is predicted in one would depend on the merges of the "
                "others: merges of each 'sequence' are for 'enter' alone"
            )
        if (self.scope == "given") != (self.given is not None):
            raise TransferError("scope 'given' goes with merges that are given, and no other does")


@dataclasses.dataclass(frozen=True)
class MergedBatch:
    """A batch, and what was merged.

    Attributes:
      batch: its `vocabulary` is `ExtraRows`; None without merged tokens.
      scored: of each window, in order.
      tokens: merged ones that have rows.
      bits: what it takes to say merges that were found in what is scored; 0 for others.
    """

    batch: Batch
    scored: tuple[ScoredRange, ...]
    tokens: int
    bits: float


class _Merged(NamedTuple):
    """Windows' tokens with merges, ids from `V` on by the order of `tokens`; and the bits as of `MergedBatch`."""

    sequences: list[MergedSequence]
    tokens: list[bytes]
    bits: float


class Batches:
    """Windows to batches; rows are made as they are needed."""

    def __init__(self, vocabulary: Vocabulary, merging: Merging, maker: RowMaker, *, rows: int, symbols: int):
        """Takes what batches are made by.

        Args:
          vocabulary: of the model, `V` ids.
          merging: what is merged.
          maker: makes rows of merged tokens.
          rows, symbols: of a batch before anything is merged.

        Raises:
          TransferError: merges that are given are of another vocabulary.
        """
        if merging.given is not None and merging.given.vocabulary.fingerprint != vocabulary.fingerprint:
            raise TransferError("the merges that are given are of another vocabulary than the model's")
        self._vocabulary, self._merging, self._maker = vocabulary, merging, maker
        self._rows, self._symbols = rows, symbols

    def __call__(self, groups: Iterable[Sequence[Placed]]) -> Iterator[MergedBatch]:
        """A batch for each group of windows.

        Raises:
          TransferError: a batch has more merged tokens than there is room for; names it.
        """
        done: Counter[int] = Counter()  # tokens of each document that are scored before
        for number, group in enumerate(groups):
            merged = self._merge([window for _, window in group])
            rows: list[list[Piece]] = [[] for _ in range(self._rows)]
            scored = []
            for (row, window), sequence in zip(group, merged.sequences, strict=True):
                piece, context = self._piece(window, sequence)
                column, length = sum(map(len, rows[row])) + context, len(piece) - context
                scored.append(ScoredRange(window.document, row, column, done[window.document], window.offset, length))
                done[window.document] += length
                rows[row].append(piece)
            extra = self._extra(merged.tokens, number)
            batch = pack_rows(rows, symbols=self._length(rows), units=None, pad=self._vocabulary.pad, seed=(0, number))
            batch = dataclasses.replace(batch, vocabulary=extra)
            yield MergedBatch(batch, tuple(scored), len(merged.tokens), merged.bits)

    def _merge(self, group: Sequence[Window]) -> _Merged:
        m = self._merging
        ends = [window.scored if m.reach == "enter" else len(window.ids) for window in group]
        parts = [TokenSequence(window.ids[:end], window.joins[:end]) for window, end in zip(group, ends, strict=True)]
        how = {"merges": m.merges, "compression": m.compression, "least": m.least}
        if m.scope == "sequence":
            each = [find_merges([part], self._vocabulary, **how) for part in parts]
            found = [(merges, merged[0]) for merges, merged in each]
        else:
            known = m.given
            merges, merged = (
                find_merges(parts, self._vocabulary, **how) if known is None else (known, known.apply(parts))
            )
            found = [(merges, sequence) for sequence in merged]
        numbers: dict[bytes, int] = {}
        bits = 0.0
        if m.reach == "enter_and_leave":  # all of them can be predicted, whether they are there or not
            merges = found[0][0]
            numbers = {token.data: i for i, token in enumerate(merges.tokens)}
            bits = merges.bits if m.scope == "batch" else 0.0
        return _Merged([self._renumbered(*each, numbers) for each in found], list(numbers), bits)

    def _renumbered(self, merges: Merges, merged: MergedSequence, numbers: dict[bytes, int]) -> MergedSequence:
        """The sequence with the batch's ids of merged tokens, by their bytes; notes those that are new to it."""
        V, ids = self._vocabulary.size, merged.ids.copy()
        for i in np.unique(ids[ids >= V]).tolist():
            ids[merged.ids == i] = V + numbers.setdefault(merges.tokens[i - V].data, len(numbers))
        return MergedSequence(ids, merged.starts)

    def _piece(self, window: Window, merged: MergedSequence) -> tuple[Piece, int]:
        """A window as model input, and how many of its targets are only context."""
        ids, starts, n = merged.ids, merged.starts, len(window.ids)
        targets = ids
        if self._merging.reach == "enter":
            ids = np.append(ids, window.ids[window.scored :])
            starts = np.append(starts, np.arange(window.scored, n))
            targets = window.ids[starts]  # of a merged token that is not to be predicted, what it begins with
        context = int(np.searchsorted(starts, window.scored))
        each = np.arange(len(ids), dtype=np.int32)
        piece = Piece(
            symbols=np.append(np.int32(self._vocabulary.bos), ids[:-1]).astype(np.int32),
            targets=targets.astype(np.int32),
            weights=(each >= context).astype(np.float32),
            nbytes=np.add.reduceat(window.nbytes, starts).astype(np.int32),
            unit_of=each,
            guide_of=each,
            units=len(ids),
        )
        return piece, context

    def _length(self, rows: Sequence[Sequence[Piece]]) -> int:
        """Of the rows of a batch: the longest, up to the next of few lengths."""
        step = -(-self._symbols // _LENGTHS)
        return -(-max(sum(map(len, row)) for row in rows) // step) * step

    def _extra(self, tokens: Sequence[bytes], number: int) -> ExtraRows | None:
        n, room = len(tokens), self._merging.room
        if not (n or room):
            return None
        room = room or max(_LEAST_ROOM, 1 << (n - 1).bit_length())
        if n > room:
            raise TransferError(f"batch {number} has {n} merged tokens, and there is room for {room}: give more room")
        made = self._maker(tokens)
        entering, leaving = (np.pad(rows, ((0, room - n), (0, 0))) for rows in made)
        return ExtraRows(entering, leaving, np.asarray(n, np.int32))
