"""Which symbols stand before each position: the same question for packed rows and for rows that are being written."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PrecedingSymbols:
    """Symbols, and those before them. Made by `of_batch` or `of_stream`.

    Attributes:
      symbols_BxS: the symbols themselves.
      positions_BxS: their positions in their piece; negative where a stream is idle.
      recent_BxR: the last symbols of each row before these, -1 where there is none.
      source: `batch` or `stream`.
    """

    symbols_BxS: Int[Array, "B S"] | Any
    positions_BxS: Int[Array, "B S"] | Any
    recent_BxR: Int[Array, "B R"] | Any
    source: str = dataclasses.field(metadata={"static": True})

    @classmethod
    def of_batch(cls, symbols_BxS: Int[Array, "B S"], positions_BxS: Int[Array, "B S"]) -> "PrecedingSymbols":
        """Whole pieces, packed in rows. What is before the start of a piece does not exist."""
        return cls(symbols_BxS, positions_BxS, jnp.zeros((len(symbols_BxS), 0), jnp.int32), "batch")

    @classmethod
    def of_stream(
        cls, recent_BxR: Int[Array, "B R"], symbols_BxT: Int[Array, "B T"], positions_BxT: Int[Array, "B T"]
    ) -> "PrecedingSymbols":
        """The next symbols of rows that are being written.

        Args:
          recent_BxR: the last `R` symbols of each row before these, the newest last; at first all -1, then `keep(R)`.
          symbols_BxT, positions_BxT: the new ones of a row, in order, and then idle positions, which are negative.
        """
        return cls(symbols_BxT, positions_BxT, recent_BxR, "stream")

    @property
    def _joined(self) -> Int[Array, "B N"]:
        return jnp.concatenate([self.recent_BxR, self.symbols_BxS], axis=1)

    def require(self, reach: int) -> None:
        """Raises ValueError unless a stream holds the symbols that are `reach` positions before its first new one."""
        kept = self.recent_BxR.shape[1]
        if self.source == "stream" and kept < reach:
            raise ValueError(f"the symbol {reach} positions before is asked for, but the stream holds the last {kept}")

    def back(self, j: int | Int[Array, ""]) -> Int[Array, "B S"]:
        """The symbol `j` positions before each, -1 where there is none; anything where a row is idle.

        A `j` that is traced is not checked: see `require`.
        """
        if isinstance(j, int):
            self.require(j)
        moved = jnp.roll(self._joined, j, axis=1)[:, self.recent_BxR.shape[1] :]
        return jnp.where(self.positions_BxS >= j, moved, -1)

    def keep(self, R: int) -> Int[Array, "B R"]:
        """The last `R` symbols of each row of a stream, with the new ones, for its next call.

        Raises:
          ValueError: rows of a batch have no one end, or the stream holds fewer.
        """
        if self.source != "stream":
            raise ValueError("packed rows hold several pieces: only a stream has last symbols to keep")
        self.require(R)
        new_B = jnp.sum(self.positions_BxS >= 0, axis=1, dtype=jnp.int32)
        first_B = new_B + (self.recent_BxR.shape[1] - R)
        index_BxR = first_B[:, None] + jnp.arange(R, dtype=jnp.int32)[None]
        return jnp.take_along_axis(self._joined, index_BxR, axis=1)
