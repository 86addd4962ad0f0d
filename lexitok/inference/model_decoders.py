"""How each kind of model is decoded. A new kind is one file and a line in `DECODERS`."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float

from lexitok.data.encoders import Encoder
from lexitok.inference import token_decoder, unit_decoder
from lexitok.inference.calls import CompletedUnits, ReadCall
from lexitok.interfaces import Bound
from lexitok.models import ByteUnitLM, TokenLM


@runtime_checkable
class ModelDecoder(Protocol):
    """What `Decoder` asks of a kind of model; a module or a class of static functions."""

    def check(self, model: Any, encoder: Encoder) -> None:
        """Raises ValueError where the model cannot be decoded with the symbols of the encoder."""
        ...

    def longest_unit(self, model: Any, encoder: Encoder) -> int:
        """Positions of the longest unit, those that open it included."""
        ...

    def routes(self, model: Any) -> bool:
        """Whether the model finds its units itself."""
        ...

    def empty(self, model: Any, rows: int, symbols: int, longest: int, chunk: int) -> Any:
        """The state of rows that have read nothing, with room for `symbols` each, read in chunks.

        Every array of it has an axis of rows.
        """
        ...

    def extend(
        self,
        model: Any,
        state: Any,
        reads: ReadCall,
        closes: CompletedUnits | None,
        longest: int,
        bound: Bound,
    ) -> tuple[Any, Float[Array, "B T D"]]:
        """Reads symbols; returns the new state, and what the read-out takes, at each position."""
        ...


DECODERS: dict[type, ModelDecoder] = {TokenLM: token_decoder, ByteUnitLM: unit_decoder}


def decoder_of(model: Any) -> ModelDecoder:
    """The functions that decode a model.

    Raises:
      ValueError: its kind has none.
    """
    if type(model) not in DECODERS:
        known = ", ".join(kind.__name__ for kind in DECODERS)
        raise ValueError(f"a {type(model).__name__} cannot be decoded; model_decoders.DECODERS has {known}")
    return DECODERS[type(model)]
