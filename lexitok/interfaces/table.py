"""The learned table: a vector a symbol, tied to the read-out or not."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from lexitok.interfaces.learned_read_out import LearnedReadOut
from lexitok.nn.parameters import normal


class Table(LearnedReadOut):
    """`table: [V, D]`, and `head: [V, D]` unless tied.

    A tied table is drawn with standard deviation `D ** -0.5`, so that logits start near unit size; `embed_scale` then
    sets the size of what enters (Gemma: `sqrt(D)`). With `table_rows`, symbols share the rows of the table modulo it;
    0: each has its own, and an id out of range enters as NaN: no other symbol's vector, and no step goes on with it.
    """

    def __init__(self, c: ConfigDict, V: int, D: int, *, rngs: nnx.Rngs):
        if c.tied not in ("yes", "no"):
            raise ValueError(f"interface.tied is 'yes' or 'no', not '{c.tied}'")
        if c.table_rows and (V % c.table_rows or c.tied == "yes"):
            raise ValueError(
                f"interface.table_rows is {c.table_rows}, and {V} symbols cannot share them: it has to divide {V}, "
                "and the table cannot be tied"
            )
        tied = c.tied == "yes"
        self.embed_scale, self.shared = c.embed_scale, bool(c.table_rows)
        self.table = normal(rngs, "V D", (c.table_rows or V, D), D if tied else 1)
        super().__init__(V, D, softcap=c.softcap, rngs=rngs, read_out="other" if tied else "head")

    def vectors(self, symbols_BxS: Int[Array, "B S"], dtype: DTypeLike) -> Float[Array, "B S D"]:
        """The vectors of the symbols, in `dtype`."""
        # Looked up, then cast: the gradient of a row is a sum over all positions of its symbol, and so it is float32.
        rows = symbols_BxS % self.table.shape[0] if self.shared else symbols_BxS
        found = self.table[...].at[rows].get(mode="fill", fill_value=jnp.nan)
        return found.astype(dtype) * jnp.asarray(self.embed_scale, dtype)

    @property
    def table_out(self) -> Float[Array, "V D"]:
        return self.table[...] if self.head is None else self.head[...]
