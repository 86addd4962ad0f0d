"""`Decoder`: a model, its caches, and a batch of rows that are read and written symbol by symbol.

What it computes is what the model's full forward pass computes, at every position of every row, whatever the other
rows hold and however the symbols are handed over.
"""

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.batch import row_seeds
from lexitok.data.encoders import Encoder
from lexitok.inference import stage_decoder, token_decoder, unit_decoder
from lexitok.inference.calls import Closes, Reads
from lexitok.inference.cursors import (
    Call,
    Close,
    ClosingRow,
    EndSymbolRow,
    FlatRow,
    LaggedRow,
    Read,
    Revealing,
    Row,
    next_call,
)
from lexitok.models import ByteUnitLM, TokenLM
from lexitok.models.causality import check_causal

ROOM = 128  # sizes of caches are multiples of it, so that requests of similar size share what is compiled


class ContextError(ValueError):
    """A row that outgrows the room that its decoder was made with."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """What lives on the device: a model's caches, the logits of every row's next symbol, and the rows' seeds."""

    held: Any
    logits_BxV: Float[Array, "B V"]
    seeds_B: Int[Array, "B"]


class Decoder:
    """Reads symbols into rows and says what may come next.

    Attributes:
      rows: the rows, on the host.
    """

    def __init__(
        self,
        model: TokenLM | ByteUnitLM,
        encoder: Encoder,
        rows: int,
        symbols: int,
        chunk: int = 64,
        seeds: np.ndarray | None = None,
    ):
        """Args:
          model: float32 or bfloat16 throughout, as it was made.
          encoder: makes the model's symbols; its vocabulary may be smaller than the model's softmax.
          rows: how many.
          symbols: how many a row has room for, `bos` included, and further slots of units (`positions_of`).
          chunk: symbols of a row that are read at once, where there are as many.
          seeds: int32 `[rows]`, of what the model draws at random for each row; None: `row_seeds(rows, 0)`.

        Raises:
          ValueError: the model and the encoder do not go together, or the model cannot be decoded.
        """
        _check(model, encoder)
        self.longest = _longest_unit(model, encoder)
        self.rows: list[Row] = [row_of(encoder) for _ in range(rows)]
        self._room = -(-symbols // ROOM) * ROOM
        self._chunk = chunk
        self._routed = isinstance(model, ByteUnitLM) and stage_decoder.routes(model.stage)
        self._slots = getattr(encoder, "slots", 1)
        self._encoder = encoder
        self._queues: list[deque[Read | Close]] = [deque() for _ in range(rows)]
        self._weights, self._structure = jax.tree.flatten(model)
        logits = jnp.zeros((rows, model.interface.vocabulary_size), jnp.float32)
        self._state = State(self._empty(model), logits, jnp.asarray(row_seeds(rows, 0) if seeds is None else seeds))

    def _empty(self, model: TokenLM | ByteUnitLM) -> token_decoder.TokenState | unit_decoder.UnitState:
        rows, room, chunk = len(self.rows), self._room, self._chunk
        if isinstance(model, TokenLM):
            return token_decoder.empty(model, rows, room, chunk)
        closes = chunk if self._routed else max(1, chunk // 4)
        return unit_decoder.empty(model, rows, room, self.longest, chunk, closes)

    @property
    def logits_BxV(self) -> Float[Array, "B V"]:
        """Float32 logits of the symbol after the last one of each row; zeros for a row that has read nothing."""
        return self._state.logits_BxV

    def read(self, symbols: Sequence[Sequence[int]]) -> None:
        """Reads further symbols, any number for each row; a row's first is `bos`.

        Raises:
          ContextError: a row has no room for them; nothing is read.
        """
        for _ in self.calls(symbols):
            pass

    def calls(self, symbols: Sequence[Sequence[int]]) -> Iterator[tuple[Call, Float[Array, "B T D"]]]:
        """As `read`; yields each call that is made of the model, and what the read-out takes at its positions."""
        for number, (row, new) in enumerate(zip(self.rows, symbols, strict=True)):
            more = positions_of(self._encoder, new)
            if row.length + more > self._room:
                raise ContextError(
                    f"row {number} holds {row.length} symbols and is to read {more} more, but there is room for "
                    f"{self._room}; make the decoder with more, or cut the text"
                )
        for row, queue, new in zip(self.rows, self._queues, symbols, strict=True):
            for symbol in new:
                queue.extend(row.push(symbol))
        while any(self._queues):
            call = next_call(self._queues, self._chunk, slots=self._slots, routed=self._routed)
            if call.closes is not None:
                self._check_units(call.closes)
            reads, closes = jax.device_put((call.reads, call.closes))
            self._state, hidden = extend(self._structure, self._weights, self._state, reads, closes, self.longest)
            yield call, hidden

    def _check_units(self, closes: Closes) -> None:
        lengths = np.asarray(closes.end_BxC - closes.start_BxC)
        if lengths.size and lengths.max() > self.longest:
            row = int(lengths.max(axis=1).argmax())
            raise ValueError(f"row {row} has a unit of {lengths.max()} symbols, and {self.longest} is the most")


def positions_of(encoder: Encoder, symbols: Sequence[int]) -> int:
    """Positions at which symbols are read: one each, and for a symbol before a unit as many as units have slots."""
    slots = getattr(encoder, "slots", 1)
    if slots == 1:
        return len(symbols)
    openers = (encoder.vocabulary.bos, encoder.end_of_unit)
    return len(symbols) + (slots - 1) * sum(symbol in openers for symbol in symbols)


def _extend(structure: Any, weights: list, state: State, reads: Reads, closes: Closes | None, longest: int):
    model = jax.tree.unflatten(structure, weights)
    bound = model.interface.bind(state.seeds_B)
    if isinstance(model, TokenLM):
        held, hidden = token_decoder.extend(model, state.held, reads, bound)
    else:
        held, hidden = unit_decoder.extend(model, state.held, reads, closes, longest, bound)
    count_B = (reads.positions_BxT >= 0).sum(axis=1, dtype=jnp.int32)  # a row's reads come first
    last = jnp.take_along_axis(hidden, jnp.maximum(count_B - 1, 0)[:, None, None], axis=1)
    logits = bound.logits(last)[:, 0]
    logits = jnp.where((count_B > 0)[:, None], logits, state.logits_BxV)
    return State(held, logits, state.seeds_B), hidden


# Weights come as a flat list: to take a module apart anew for every symbol costs more than a small model's step.
extend = jax.jit(_extend, static_argnums=(0, 5), donate_argnums=(2,))


def _check(model: TokenLM | ByteUnitLM, encoder: Encoder) -> None:
    V = model.interface.vocabulary_size
    if encoder.vocabulary.size > V:
        raise ValueError(f"the vocabulary has {encoder.vocabulary.size} symbols, the model only {V}")
    if isinstance(model, TokenLM) != (encoder.boundary == "none"):
        raise ValueError(f"a {type(model).__name__} cannot read an encoder of kind '{encoder.kind}'")
    if isinstance(model, ByteUnitLM):
        check_causal(model.c.stage, encoder.boundary)


def _longest_unit(model: TokenLM | ByteUnitLM, encoder: Encoder) -> int:
    """Positions of the longest unit, the slots that open it included."""
    if isinstance(model, TokenLM):
        return 1
    given = None
    if not stage_decoder.routes(model.stage):
        given = encoder.slots + encoder.splitter.max_unit_bytes  # type: ignore[attr-defined]
    return stage_decoder.longest_unit(model.c.stage, given)


def row_of(encoder: Encoder) -> Row:
    """The row that does what an encoder's boundary rule says."""
    splitter = getattr(encoder, "splitter", None)
    if encoder.boundary == "end_symbol":
        return EndSymbolRow(encoder.end_of_unit, encoder.slots)  # type: ignore[arg-type, attr-defined]
    if encoder.boundary == "lagged":
        return LaggedRow(splitter)  # type: ignore[arg-type]
    if encoder.boundary == "revealed":
        return ClosingRow(Revealing(splitter))  # type: ignore[arg-type]
    if encoder.boundary == "fused":
        fused = encoder.alphabet.fused  # type: ignore[attr-defined]
        return ClosingRow(lambda symbol: symbol >= fused)
    return FlatRow()
