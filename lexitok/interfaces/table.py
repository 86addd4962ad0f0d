"""The learned table: a vector a symbol, tied to the read-out or not."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces.learned_read_out import Headed
from lexitok.nn.parameters import normal


class Table(Headed):
    """`table: [V, D]`, and `head: [V, D]` unless tied.

    A tied table is drawn with standard deviation `D ** -0.5`, so that logits start near unit size; `embed_scale` then
    sets the size of what enters (Gemma: `sqrt(D)`). With `rows`, symbols share the rows of the table modulo it; 0: each
    has its own.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, tokens: Sequence[bytes] = (), *, rngs: nnx.Rngs):
        del tokens
        if c.tied not in ("yes", "no"):
            raise ValueError(f"interface.tied is 'yes' or 'no', not '{c.tied}'")
        if c.rows and (V % c.rows or c.tied == "yes"):
            raise ValueError(
                f"interface.rows is {c.rows}, and {V} symbols cannot share them: it has to divide {V}, and the table "
                "cannot be tied"
            )
        tied = c.tied == "yes"
        self.embed_scale = c.embed_scale
        self.table = normal(rngs, "V D", (c.rows or V, D), D if tied else 1)
        super().__init__(V, D, softcap=c.softcap, rngs=rngs, read_out="other" if tied else "head")

    def embed(
        self, symbols_BxS: Int[Array, "B S"], seeds_B: Int[Array, "B"], dtype: DTypeLike
    ) -> Float[Array, "B S D"]:
        """The vectors of the symbols, in `dtype`."""
        del seeds_B
        row = symbols_BxS % self.table.shape[0]
        return self.table[...].astype(dtype)[row] * jnp.asarray(self.embed_scale, dtype)

    @property
    def read_out(self) -> Float[Array, "V D"]:
        return self.table[...] if self.head is None else self.head[...]
