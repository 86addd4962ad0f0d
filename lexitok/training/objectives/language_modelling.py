"""Next-symbol prediction."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.ops.read_out import Query
from lexitok.training.objectives.objective import Objective, Sums, document_ends, text_sums
from lexitok.training.state import Fixed, model_of


def language_modelling(c: ConfigDict, encoder: Encoder) -> Objective:
    """The nats of a batch's targets, and the model's own losses.

    Its sums: `weights` (targets), `loss` (nats of all of them), `nats` of text and end-of-unit symbols, `eot_nats`,
    `bytes` of raw text, `right` (targets that have the largest logit), and what the model counts itself; `extra_loss`,
    times targets, where it has losses of its own. The symbol that ends documents is learned like any other, but its
    nats are no text's.

    Args:
      c: the section `objective`: `z_loss`, the weight of the squared log-normaliser (arXiv 2204.02311), and `chunk`,
        positions of a row whose logits are computed at once.
      encoder: of the symbols.
    """
    z_loss, query = c.z_loss, Query(chunk=c.chunk)
    ends = document_ends(encoder)

    def nats(trained: Any, fixed: Fixed, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        found, extras = model_of(trained, fixed).read_out(batch, query)
        weights = batch.tokens.weights_BxS
        loss = jnp.sum(weights * found.nll_BxS)
        sums = text_sums(batch.tokens, found, ends(batch)) | {"loss": loss}
        # A loss of the model's own is a mean over the batch: as a sum it weighs as much as the targets' do.
        sums["extra_loss"] = extras.loss * sums["weights"]
        sums |= extras.sums
        total = loss + sums["extra_loss"]
        if z_loss:
            total = total + z_loss * jnp.sum(weights * jnp.square(found.log_z_BxS))
        return total, sums

    return Objective(nats)
