"""How symbols enter (`embed`) and leave (`logits`, `scores`) a model. A new interface is one file and a line here."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces.binary import BinaryCodes
from lexitok.interfaces.glyphs import Glyphs, pin_font
from lexitok.interfaces.lexinvariant import Lexinvariant, SemiLexinvariant
from lexitok.interfaces.table import Table
from lexitok.ops.linear_cross_entropy import Scores

INTERFACES: dict[str, Any] = {
    "table": Table,
    "binary": BinaryCodes,
    "glyphs": Glyphs,
    "lexinvariant": Lexinvariant,
    "semi_lexinvariant": SemiLexinvariant,
}
_PINS = {"glyphs": pin_font}


@runtime_checkable
class Interface(Protocol):
    """What models need of an interface. `seeds_B` is what a row's random vectors are drawn from, where there are any.

    Attributes:
      vocabulary_size: symbols of the softmax, `V`.
    """

    @property
    def vocabulary_size(self) -> int: ...

    def embed(
        self, symbols_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"], dtype: DTypeLike
    ) -> Float[Array, "B S D"]:
        """The vectors of the symbols, in `dtype`."""
        ...

    def logits(self, h_BxSxD: Float[Array, "B S D"], seeds_B: Int[Array, "B"]) -> Float[Array, "B S V"]:
        """Float32 logits of every symbol."""
        ...

    def scores(
        self, h_BxSxD: Float[Array, "B S D"], targets_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"], chunk: int = 512
    ) -> Scores:
        """Nats of the targets, without holding all logits."""
        ...


def make_interface(c: ConfigDict, V: int, D: int, rngs: nnx.Rngs, tokens: Sequence[bytes] = ()) -> Interface:
    """The interface that a config section names.

    Args:
      c: made by one of the functions in `lexitok.config`, such as `table`.
      V: symbols.
      D: width of the vectors that enter and leave.
      rngs: for the parameters.
      tokens: the bytes of each symbol, specials empty, for interfaces that look at them.

    Raises:
      ValueError: an unknown kind, or settings that cannot be.
    """
    if c.kind not in INTERFACES:
        raise ValueError(f"unknown interface.kind '{c.kind}'; there are {', '.join(INTERFACES)}")
    return INTERFACES[c.kind](c, V, D, tokens, rngs=rngs)


def pin(c: ConfigDict) -> None:
    """Writes into a config section what its interface takes from outside, so that a checkpoint's config says it."""
    if c.kind in _PINS:
        _PINS[c.kind](c)
