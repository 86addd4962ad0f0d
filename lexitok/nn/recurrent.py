"""What all recurrent mixers do with packed rows and with rows that are being written."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict

from lexitok.ops.attention import Positions

State = dict[str, Array]


class Recurrent(nnx.Module):
    """A layer whose memory is of a fixed size; a subclass has `empty`, and `_run` for both ways of reading."""

    c: Any

    @staticmethod
    def empty(c: ConfigDict, rows: int, dtype: DTypeLike) -> State:
        """State of a layer that has read nothing."""
        raise NotImplementedError

    def _run(self, x_BxSxD: Array, starts_BxS: Array, live_BxS: Array, state: State) -> tuple[Array, State]:
        raise NotImplementedError

    def __call__(self, x_BxSxD: Float[Array, "B S D"], positions: Positions) -> Float[Array, "B S D"]:
        """The layer over packed rows; it starts afresh wherever the segment changes."""
        starts_BxS = jnp.diff(positions.segments_BxS, prepend=positions.segments_BxS[:, :1] - 1) != 0
        state = self.empty(self.c, len(x_BxSxD), x_BxSxD.dtype)
        return self._run(x_BxSxD, starts_BxS, jnp.ones_like(starts_BxS), state)[0]

    def extend(
        self, x_BxTxD: Float[Array, "B T D"], live_BxT: Bool[Array, "B T"], state: State
    ) -> tuple[Float[Array, "B T D"], State]:
        """As a call on new positions behind those in the state.

        Args:
          x_BxTxD: new positions.
          live_BxT: which of them stand for something; they come first in each row. The others leave the state as it is.
          state: what came before.
        """
        return self._run(x_BxTxD, jnp.zeros_like(live_BxT), live_BxT, state)
