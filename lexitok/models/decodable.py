"""What a model needs so that it can be decoded symbol after symbol (`lexitok.inference.decoder`)."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float

from lexitok.data.encoders import Encoder
from lexitok.interfaces import Bound
from lexitok.models.calls import CompletedUnits, ReadCall


@runtime_checkable
class Decodable(Protocol):
    """A model with a state of what it has read.

    Attributes:
      finds_units: whether it says itself where units end.
    """

    @property
    def finds_units(self) -> bool: ...

    def check_decoding(self, encoder: Encoder) -> None:
        """Raises ValueError where the model cannot be decoded with the symbols of the encoder."""
        ...

    def longest_unit(self, encoder: Encoder) -> int:
        """Positions of the longest unit, those that open it included."""
        ...

    def empty(self, rows: int, symbols: int, longest: int, chunk: int) -> Any:
        """The state of rows that have read nothing; every array of it has an axis of rows.

        Args:
          rows: `B`.
          symbols: what a row has room for.
          longest: positions of the longest unit.
          chunk: symbols that are read at once, at most.
        """
        ...

    def extend(
        self, state: Any, reads: ReadCall, closes: CompletedUnits | None, longest: int, bound: Bound
    ) -> tuple[Any, Float[Array, "B T D"]]:
        """Reads symbols and closes units; returns the new state, and what the read-out takes, at each position."""
        ...


def check_decodable(model: Any) -> None:
    """Raises a ValueError that names what a model lacks to be decoded."""
    wanted = ("finds_units", "check_decoding", "longest_unit", "empty", "extend")
    missing = [name for name in wanted if not hasattr(model, name)]
    if missing:
        raise ValueError(f"a {type(model).__name__} cannot be decoded: it has no {', '.join(missing)} (see Decodable)")
