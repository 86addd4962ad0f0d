"""Objectives: a model and a batch to sums that are added up over batches and devices, and divided only on the host."""

from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.models.extras import Extras
from lexitok.ops.linear_cross_entropy import Scores


@runtime_checkable
class Model(Protocol):
    """What an objective asks of a model."""

    def scores_and_extras(self, batch: Batch, chunk: int = 512) -> tuple[Scores, Extras]: ...


Sums = dict[str, Float[Array, ""]]


def language_modelling(
    model: Model, batch: Batch, *, eot: int, z_loss: float = 0.0, chunk: int = 512
) -> tuple[Float[Array, ""], Sums]:
    """Next-symbol prediction.

    Args:
      model: the model.
      batch: the batch.
      eot: the symbol that ends documents. It is learned like any other, but its nats are no text's.
      z_loss: weight of the squared log-normaliser (arXiv 2204.02311).
      chunk: positions of a row whose logits are held at once.

    Returns:
      The loss summed over targets; and sums: `weights` (targets), `loss` (nats of all of them), `nats` of text and
      end-of-unit symbols, `eot_nats`, `bytes` of raw text, `right` (targets that have the largest logit), and what the
      model counts itself; `extra_loss`, times targets, where it has losses of its own.
    """
    scores, extras = model.scores_and_extras(batch, chunk)
    weights = batch.tokens.weights_BxS
    loss = jnp.sum(weights * scores.nll_BxS)
    ends = batch.tokens.targets_BxS == eot
    eot_nats = jnp.sum(jnp.where(ends, weights * scores.nll_BxS, 0.0))
    sums = {
        "weights": jnp.sum(weights),
        "loss": loss,
        "nats": loss - eot_nats,
        "eot_nats": eot_nats,
        "bytes": jnp.sum(jnp.where(weights > 0, batch.tokens.bytes_BxS, 0)).astype(jnp.float32),
        "right": jnp.sum(weights * scores.is_top_BxS.astype(jnp.float32)),
    }
    # A loss of the model's own is a mean over the batch: as a sum it weighs as much as the targets' do.
    sums["extra_loss"] = extras.loss * sums["weights"]
    sums |= extras.sums
    total = loss + sums["extra_loss"]
    if z_loss:
        total = total + z_loss * jnp.sum(weights * jnp.square(scores.log_z_BxS))
    return total, sums
