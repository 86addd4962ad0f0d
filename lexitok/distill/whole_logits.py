"""Where whole logits come from: of a model that has read a batch, or of predictions that were kept."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lexitok.data.batch import Predictions
from lexitok.interfaces.bound import TableBound
from lexitok.models.read_batch import ReadBatch
from lexitok.ops.read_out.reference import logits


@dataclasses.dataclass(frozen=True)
class WholeLogits:
    """Logits of every symbol, which are made where they are needed.

    Attributes:
      at_BxS: what they are made of at each position: a tree of arrays `[B, S, ...]`.
      shared: what else, the same for all positions: a tree of arrays.
      make: from both, of `n` positions of each row, float32 logits `[B, n, V]`.
    """

    at_BxS: Any
    shared: Any
    make: Callable[[Any, Any], Float[Array, "B n V"]]

    @property
    def fixed(self) -> "WholeLogits":
        """Without gradients."""
        at_BxS, shared = jax.lax.stop_gradient((self.at_BxS, self.shared))
        return dataclasses.replace(self, at_BxS=at_BxS, shared=shared)


def of_model(read: ReadBatch) -> WholeLogits:
    """Of hidden vectors and a table. Raises ValueError if symbols leave the model in another way."""
    bound = read.bound
    if not isinstance(bound, TableBound):
        raise ValueError(
            f"the loss needs all logits of a span, of symbols that leave through one table; a {type(bound).__name__} "
            "has none"
        )
    return WholeLogits(read.hidden_BxSxD, bound.table_VxD, lambda h, w: logits(h, w, bound.softcap))


def of_predictions(predictions: Predictions, size: int) -> WholeLogits:
    """Of the largest logits, and what is left of the mass, in equal parts among all other symbols.

    Args:
      predictions: of a batch.
      size: `V`.
    """
    of_tops = predictions.top_BxTxk, predictions.top_ids_BxTxk, predictions.log_rest_BxT
    others = max(size - predictions.top_BxTxk.shape[-1], 1)

    def make(at: Any, _: Any) -> Float[Array, "B n V"]:
        top, ids, log_rest = at
        each = log_rest - jnp.log(jnp.float32(others))
        flat = jnp.broadcast_to(each[..., None], (*each.shape, size))
        put = jax.vmap(jax.vmap(lambda row, ids, top: row.at[ids].set(top)))
        return put(flat, ids, top.astype(jnp.float32))

    return WholeLogits(of_tops, None, make)
