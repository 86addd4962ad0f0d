"""Interfaces that are bound to a batch: what is made once for it is made."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from lexitok.ops.read_out import Query, Reductions, read_out
from lexitok.ops.read_out.reference import logits


@runtime_checkable
class Bound(Protocol):
    """How symbols enter and leave a model, for the rows of one batch."""

    def embed(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The vectors of the symbols, in `dtype`."""
        ...

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        """Float32 logits of every symbol."""
        ...

    def read_out(self, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        """What is asked of the logits, without holding all of them."""
        ...


def refuse_vocabulary(vocabulary: Any, interface: object) -> None:
    """Raises a ValueError if a batch has a vocabulary of its own, which the interface's vectors are not made from."""
    if vocabulary is not None:
        raise ValueError(
            f"the batch has a vocabulary of its own, and the interface {type(interface).__name__} has vectors for the "
            "symbols of the model's: data.tokenizers 'drawn' needs one that makes them from what the batch says"
        )


@runtime_checkable
class WithLoss(Protocol):
    """An interface that was bound, with a loss of its own beside predictions.

    Attributes:
      loss: scalar, to be added to the mean of the nats over targets.
    """

    @property
    def loss(self) -> Float[Array, ""]: ...


def loss_of(bound: Bound) -> Float[Array, ""]:
    """The loss of its own that a bound interface has; most have none, which is 0."""
    return bound.loss if isinstance(bound, WithLoss) else jnp.zeros((), jnp.float32)


@dataclasses.dataclass(frozen=True)
class TableBound:
    """Symbols leave through one table, the same for all rows.

    Attributes:
      vectors: of symbols, as they enter; in any float.
      table_VxD: hidden vectors are multiplied with its rows.
      softcap: of the logits; 0: none.
    """

    vectors: Callable[[Int[Array, "B S"], DTypeLike], Float[Array, "B S D"]]
    table_VxD: Float[Array, "V D"]
    softcap: float

    def embed(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        return self.vectors(symbols_BxS, dtype)

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        return logits(h_BxSxD, self.table_VxD, self.softcap)

    def read_out(self, h_BxSxD: Float[Array, "B S D"], query: Query) -> Reductions:
        return read_out(h_BxSxD, self.table_VxD, query, softcap=self.softcap)


def without_gradient(bound: Any) -> Any:
    """A bound interface, with arrays that have no gradient; what its functions close over may have one."""
    if dataclasses.is_dataclass(bound) and not isinstance(bound, type):
        values = {field.name: getattr(bound, field.name) for field in dataclasses.fields(bound) if field.init}
        return dataclasses.replace(bound, **{name: without_gradient(value) for name, value in values.items()})
    if isinstance(bound, list | tuple):
        return type(bound)(map(without_gradient, bound))
    return jax.lax.stop_gradient(bound) if isinstance(bound, jax.Array) else bound
