"""How symbols leave a model: a learned matrix, the read-out of every interface that is not tied to its vectors."""

from flax import nnx
from jaxtyping import Array, Float, Int

from lexitok.nn.parameters import normal
from lexitok.ops.linear_cross_entropy import Scores, linear_cross_entropy
from lexitok.ops.linear_cross_entropy.reference import logits


class Headed(nnx.Module):
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
        return self.read_out.shape[0]

    @property
    def read_out(self) -> Float[Array, "V D"]:
        """The matrix that hidden vectors are multiplied with."""
        assert self.head is not None
        return self.head[...]

    def logits(self, h_BxSxD: Float[Array, "B S D"], seeds_B: Int[Array, "B"]) -> Float[Array, "B S V"]:
        """Float32 logits of every symbol."""
        del seeds_B
        return logits(h_BxSxD, self.read_out, self.softcap)

    def scores(
        self, h_BxSxD: Float[Array, "B S D"], targets_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"], chunk: int = 512
    ) -> Scores:
        """Nats of the targets; `B·chunk·V` logits are held at once."""
        del seeds_B
        return linear_cross_entropy(h_BxSxD, self.read_out, targets_BxS, softcap=self.softcap, chunk=chunk)
