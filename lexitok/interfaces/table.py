"""The learned table: a vector a symbol, tied to the read-out or not."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from lexitok.nn.layers import normal
from lexitok.ops.linear_cross_entropy import Scores, linear_cross_entropy
from lexitok.ops.linear_cross_entropy.reference import logits


class Table(nnx.Module):
    """`table: [V, D]`, and `head: [V, D]` unless tied.

    An untied head is drawn small, so that the first predictions are near uniform. A tied table is drawn with standard
    deviation `D ** -0.5`, so that logits start near unit size; `embed_scale` then sets the size of what enters (Gemma:
    `sqrt(D)`). With `rows`, symbols share the rows of the table modulo it; 0: each has its own.
    """

    def __init__(
        self,
        V: int,
        D: int,
        *,
        tied: str = "no",
        rows: int = 0,
        embed_scale: float = 1.0,
        softcap: float = 0.0,
        rngs: nnx.Rngs,
    ):
        if rows and (rows > V or tied == "yes"):
            raise ValueError(f"rows is {rows}: it is at most the {V} symbols, and of a table that is not tied")
        if tied not in ("yes", "no"):
            raise ValueError(f"tied is 'yes' or 'no', not '{tied}'")
        self.softcap = softcap
        self.embed_scale = embed_scale
        self.table = normal(rngs, (rows or V, D), D if tied == "yes" else 1)
        self.head = None if tied == "yes" else normal(rngs, (V, D), D, gain=0.1)

    @property
    def vocabulary_size(self) -> int:
        return self._head().shape[0]

    def embed(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The vectors of the symbols, in `dtype`."""
        row = symbols_BxS % self.table.shape[0] if self.head is not None else symbols_BxS
        return self.table[...].astype(dtype)[row] * jnp.asarray(self.embed_scale, dtype)

    def _head(self) -> Float[Array, "V D"]:
        return self.table[...] if self.head is None else self.head[...]

    def logits(self, h_BxSxD: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        """Float32 logits of every symbol."""
        return logits(h_BxSxD, self._head(), self.softcap)

    def scores(self, h_BxSxD: Float[Array, "B S D"], targets_BxS: Int[Array, "B S"], chunk: int = 512) -> Scores:
        """Nats of the targets; `B·chunk·V` logits are held at once."""
        return linear_cross_entropy(h_BxSxD, self._head(), targets_BxS, softcap=self.softcap, chunk=chunk)
