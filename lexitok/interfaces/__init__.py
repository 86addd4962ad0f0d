"""How symbols enter and leave a model, once bound to a batch. A new interface is one file and a line here."""

from typing import Any, Protocol, runtime_checkable

from flax import nnx
from jaxtyping import Array, Int
from ml_collections import ConfigDict

from lexitok.interfaces.binary import BinaryCodes
from lexitok.interfaces.bound import Bound
from lexitok.interfaces.glyphs import Glyphs, pin_font
from lexitok.interfaces.hydra import Hydra
from lexitok.interfaces.hypernetwork import Hypernetwork, pin_source, source_vocabulary
from lexitok.interfaces.lexinvariant import Lexinvariant, SemiLexinvariant
from lexitok.interfaces.table import Table
from lexitok.text.vocabulary import Vocabulary

INTERFACES: dict[str, Any] = {
    "table": Table,
    "binary": BinaryCodes,
    "glyphs": Glyphs,
    "lexinvariant": Lexinvariant,
    "semi_lexinvariant": SemiLexinvariant,
    "hypernetwork": Hypernetwork,
    "hydra": Hydra,
}
_PINS = {"glyphs": pin_font, "hypernetwork": pin_source}
_SYMBOLS = {"hypernetwork": source_vocabulary}  # where rows are of other symbols than the text's

__all__ = ["INTERFACES", "Bound", "Interface", "make_interface", "pin", "row_vocabulary"]


@runtime_checkable
class Interface(Protocol):
    """What models need of an interface.

    Attributes:
      vocabulary_size: symbols of the softmax, `V`.
    """

    @property
    def vocabulary_size(self) -> int: ...

    def bind(self, seeds_B: Int[Array, "B"], vocabulary: Any = None) -> Bound:
        """The interface for the rows of a batch; what is made once for all of it is made here.

        Args:
          seeds_B: what a row's random vectors are drawn from, where there are any.
          vocabulary: of the batch, where it has one of its own and the vectors are made from it.
        """
        ...


def make_interface(c: ConfigDict, V: int, D: int, rngs: nnx.Rngs, vocabulary: Vocabulary | None = None) -> Interface:
    """The interface that a config section names.

    Args:
      c: made by one of the functions in `lexitok.config`, such as `table`.
      V: symbols.
      D: width of the vectors that enter and leave.
      rngs: for the parameters.
      vocabulary: of the symbols, for interfaces that look at it: their classes say that they need its `tokens` (the
        bytes of each symbol, specials empty) or the whole `vocabulary`.

    Raises:
      ValueError: an unknown kind, or settings that cannot be.
    """
    if c.kind not in INTERFACES:
        raise ValueError(f"unknown interface.kind '{c.kind}'; there are {', '.join(INTERFACES)}")
    interface = INTERFACES[c.kind]
    tokens = () if vocabulary is None else vocabulary.token_bytes
    there_are = {"tokens": tokens, "vocabulary": vocabulary, "make": _make_part}
    needed = {name: there_are[name] for name in getattr(interface, "needs", ())}
    return interface(c, V, D, **needed, rngs=rngs)


def _make_part(c: ConfigDict, V: int, D: int, rngs: nnx.Rngs) -> Interface:
    """A part of a `Hydra`."""
    if getattr(INTERFACES.get(c.kind), "needs", ()):
        raise ValueError(f"an interface of kind '{c.kind}' looks at the vocabulary, and can be no part of a hydra")
    return make_interface(c, V, D, rngs)


def pin(c: ConfigDict) -> None:
    """Writes into a config section what its interface takes from outside, so that a checkpoint's config says it."""
    if c.kind in _PINS:
        _PINS[c.kind](c)


def row_vocabulary(c: ConfigDict, vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary whose ids the rows of an interface's parameters are, by its config section.

    Args:
      c: the section.
      vocabulary: of the text.
    """
    return _SYMBOLS[c.kind](c, vocabulary) if c.kind in _SYMBOLS else vocabulary
