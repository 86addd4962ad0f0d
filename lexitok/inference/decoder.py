"""`Decoder`: a model, its caches, and a batch of rows that are read and written symbol by symbol.

What it computes is what the model's full forward pass computes, at every position of every row, whatever the other
rows hold and however the symbols are handed over.
"""

import copy
import dataclasses
import functools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.batch import row_seeds
from lexitok.data.encoders import Encoder
from lexitok.inference.queues import Call, next_call
from lexitok.models.build import with_table
from lexitok.models.calls import CompletedUnits, ReadCall
from lexitok.models.decodable import check_decodable
from lexitok.text.boundaries import Close, Cursor, Read

ROOM = 128  # sizes of caches are multiples of it, so that requests of similar size share what is compiled


class ContextError(ValueError):
    """A row that outgrows the room that its decoder was made with."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """What lives on the device: a model's caches, the logits of every row's next symbol, and the rows' seeds."""

    caches: Any
    logits_BxV: Float[Array, "B V"]
    seeds_B: Int[Array, "B"]


class Decoder:
    """Reads symbols into rows and says what may come next.

    Attributes:
      cursors: where each row is, on the host.
    """

    def __init__(
        self,
        model: Any,
        encoder: Encoder,
        rows: int,
        symbols: int,
        chunk: int = 64,
        seeds: np.ndarray | None = None,
    ):
        """Args:
          model: a `lexitok.models.decodable.Decodable`, float32 or bfloat16 throughout, as it was made.
          encoder: makes the model's symbols; its vocabulary may be smaller than the model's softmax.
          rows: how many.
          symbols: how many a row has room for, `bos` included, and further slots of units (`positions_of`).
          chunk: symbols of a row that are read at once, where there are as many.
          seeds: int32 `[rows]`, of what the model draws at random for each row; None: `row_seeds(rows, 0)`.

        Raises:
          ValueError: the model and the encoder do not go together, or the model cannot be decoded.
        """
        _check(model, encoder)
        model = with_table(model)
        self.longest = model.longest_unit(encoder)
        self.cursors: list[Cursor] = [encoder.rule.cursor() for _ in range(rows)]
        self._room = -(-symbols // ROOM) * ROOM
        self._chunk = chunk
        self._routed = model.finds_units
        self._slots = encoder.rule.slots
        self._encoder = encoder
        self._queues: list[deque[Read | Close]] = [deque() for _ in range(rows)]
        self._weights, self._structure = jax.tree.flatten(model)
        logits = jnp.zeros((rows, model.interface.vocabulary_size), jnp.float32)
        caches = model.empty(rows, self._room, self.longest, chunk)
        self._state = State(caches, logits, jnp.asarray(row_seeds(rows, 0) if seeds is None else seeds))

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
        for number, (cursor, new) in enumerate(zip(self.cursors, symbols, strict=True)):
            more = positions_of(self._encoder, new)
            if cursor.length + more > self._room:
                raise ContextError(
                    f"row {number} holds {cursor.length} symbols and is to read {more} more, but there is room for "
                    f"{self._room}; make the decoder with more, or cut the text"
                )
        for cursor, queue, new in zip(self.cursors, self._queues, symbols, strict=True):
            for symbol in new:
                queue.extend(cursor.push(symbol))
        while any(self._queues):
            call = next_call(self._queues, self._chunk, slots=self._slots, routed=self._routed)
            if call.closes is not None:
                self._check_units(call.closes)
            reads, closes = jax.device_put((call.reads, call.closes))
            self._state, hidden = extend(self._structure, self._weights, self._state, reads, closes, self.longest)
            yield call, hidden

    def take(self, rows: Sequence[int]) -> "Decoder":
        """A decoder whose rows are copies of these, in this order, any of them any number of times.

        Both go on by themselves, also where one of them is in the middle of `calls`. The seeds go with their rows.

        Raises:
          IndexError: there is no such row.
          ValueError: no rows.
        """
        if len(rows) == 0:
            raise ValueError("a decoder has one row at least, and none is to be taken")
        check_rows(rows, len(self.cursors), "taken")
        row_axes = self._row_axes  # before the copy, which then has them too
        taken = copy.copy(self)
        taken.cursors = [copy.deepcopy(self.cursors[row]) for row in rows]
        taken._queues = [self._queues[row].copy() for row in rows]
        taken._state = _gather(self._state, jax.device_put(np.array(rows, np.int32)), row_axes)
        return taken

    def drop(self, rows: Sequence[int]) -> "Decoder":
        """As `take`, of all rows but these, in their order."""
        check_rows(rows, len(self.cursors), "dropped")
        return self.take([row for row in range(len(self.cursors)) if row not in rows])

    @functools.cached_property
    def _row_axes(self) -> tuple[int, ...]:
        """The axis of rows of each array of the state, which is the one that depends on their number."""
        model = jax.tree.unflatten(self._structure, self._weights)

        def shapes(rows: int) -> list[tuple[int, ...]]:
            arguments = (rows, self._room, self.longest, self._chunk)
            leaves = jax.eval_shape(lambda: jax.tree.leaves(model.empty(*arguments)))
            return [leaf.shape for leaf in leaves]

        pairs = zip(shapes(2), shapes(3), strict=True)
        of_caches = [
            next(i for i, (two, three) in enumerate(zip(*pair, strict=True)) if two != three) for pair in pairs
        ]
        return (*of_caches, 0, 0)  # logits and seeds

    def _check_units(self, closes: CompletedUnits) -> None:
        lengths = np.asarray(closes.end_BxC - closes.start_BxC)
        if lengths.size and lengths.max() > self.longest:
            row = int(lengths.max(axis=1).argmax())
            raise ValueError(f"row {row} has a unit of {lengths.max()} symbols, and {self.longest} is the most")


def check_rows(rows: Sequence[int], count: int, what: str) -> None:
    """Raises IndexError for a row that is none of `count`, and is to be `what` ("taken")."""
    for row in rows:
        if not 0 <= row < count:
            raise IndexError(f"row {row} is to be {what}, and there are rows 0 to {count - 1}")


def positions_of(encoder: Encoder, symbols: Sequence[int]) -> int:
    """Positions at which symbols are read, see `BoundaryRule.positions`."""
    return encoder.rule.positions(list(symbols), encoder.vocabulary.bos)


def most_positions(encoder: Encoder, nbytes: int) -> int:
    """Positions at which the symbols of `nbytes` bytes are read at most: behind each, a unit may end."""
    return nbytes * (1 if encoder.rule.end_of_unit is None else 1 + encoder.rule.slots)


def _extend(structure: Any, weights: list, state: State, reads: ReadCall, closes: CompletedUnits | None, longest: int):
    model = jax.tree.unflatten(structure, weights)
    bound = model.interface.bind(state.seeds_B)
    caches, hidden = model.extend(state.caches, reads, closes, longest, bound)
    count_B = (reads.positions_BxT >= 0).sum(axis=1, dtype=jnp.int32)  # a row's reads come first
    last = jnp.take_along_axis(hidden, jnp.maximum(count_B - 1, 0)[:, None, None], axis=1)
    logits = bound.logits(last)[:, 0]
    logits = jnp.where((count_B > 0)[:, None], logits, state.logits_BxV)
    return State(caches, logits, state.seeds_B), hidden


# Weights come as a flat list: to take a module apart anew for every symbol costs more than a small model's step.
extend = jax.jit(_extend, static_argnums=(0, 5), donate_argnums=(2,))


@functools.partial(jax.jit, static_argnums=2)
def _gather(state: State, rows_B: Int[Array, "B"], axes: tuple[int, ...]) -> State:
    leaves, structure = jax.tree.flatten(state)
    taken = [jnp.take(leaf, rows_B, axis=axis) for leaf, axis in zip(leaves, axes, strict=True)]
    return jax.tree.unflatten(structure, taken)


def _check(model: Any, encoder: Encoder) -> None:
    check_decodable(model)
    V = model.interface.vocabulary_size
    if encoder.vocabulary.size > V:
        raise ValueError(f"the vocabulary has {encoder.vocabulary.size} symbols, the model only {V}")
    if encoder.kind not in model.kinds_of_text:
        raise ValueError(f"a {type(model).__name__} cannot read an encoder of kind '{encoder.kind}'")
    model.check_decoding(encoder)
