"""How symbols leave a model: a learned matrix, the read-out of every interface that is not tied to its vectors."""

from typing import Any

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from lexitok.interfaces.bound import Bound, TableBound, refuse_vocabulary
from lexitok.nn.parameters import normal


class LearnedReadOut(nnx.Module):
    """Base of interfaces with a read-out of their own, `head: [V, D]`; a subclass says how symbols enter.

    It is drawn small, so that the first predictions are near uniform.

    Args:
      V: symbols.
      D: width of hidden vectors.
      softcap: of the logits; 0: none.
      read_out: `head`, or `other` where a subclass has another matrix for it.
    """

    def __init__(self, V: int, D: int, *, softcap: float = 0.0, rngs: nnx.Rngs, read_out: str = "head"):
        self.softcap = softcap
        self.head = normal(rngs, "V D", (V, D), D, gain=0.1) if read_out == "head" else None

    @property
    def vocabulary_size(self) -> int:
        return self.table_out.shape[0]

    @property
    def table_out(self) -> Float[Array, "V D"]:
        """The matrix that hidden vectors are multiplied with."""
        assert self.head is not None
        return self.head[...]

    def vectors(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The vectors of the symbols as they enter, in `dtype`."""
        raise NotImplementedError

    def bind(self, seeds_B: Int[Array, "B"], vocabulary: Any = None) -> Bound:
        """The interface for the rows of a batch: the same for all."""
        del seeds_B
        refuse_vocabulary(vocabulary, self)
        return TableBound(self.vectors, self.table_out, self.softcap)
