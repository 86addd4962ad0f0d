"""A hypernetwork finds again the rows that its source has: the first phase of ZeTT's training."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.spelling import Spelling
from lexitok.interfaces.hypernetwork import Hypernetwork
from lexitok.training.objectives.objective import Objective, Sums
from lexitok.training.state import Fixed, SetupError, model_of


def imitation(c: ConfigDict, encoder: Encoder) -> Objective:
    """Squared distances of the rows that are made of single tokens of the source to their own (arXiv 2405.07883).

    No text is read and the backbone is not computed: of a batch only its rows' seeds are taken, which say which tokens
    of the source, drawn with replacement, a step is about. Half the sum of both tables' distances, where there are two.

    Its sums: `weights` (tokens of text among those that were drawn), `loss` (over all of them), `bytes` (0).

    Args:
      c: the section `objective`: `tokens`, how many are drawn for a batch, or for each of its micro-batches.
      encoder: of the text, which is not looked at.

    Raises:
      SetupError: fewer than one token is to be drawn; when it is traced, a model without a hypernetwork.
    """
    del encoder
    drawn = c.tokens
    if drawn < 1:
        raise SetupError(f"objective.tokens is {drawn}: a step of imitation is about 1 token at least")

    def distances(trained: Any, fixed: Fixed, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        interface = getattr(model_of(trained, fixed), "interface", None)
        if not isinstance(interface, Hypernetwork):
            raise SetupError(f"objective.kind 'imitation' trains a hypernetwork, not a {type(interface).__name__}")
        lengths_U = interface.made_lengths[...]
        key = jax.random.key(jnp.sum(batch.seeds_B), impl="threefry2x32")
        ids = jax.random.randint(key, (drawn,), 0, len(lengths_U), jnp.int32)
        tables = interface.tables(Spelling(ids[:, None], jnp.asarray(interface.c.language, jnp.int32)))
        sides = [
            (interface.frozen_source.table, tables.entering_VxD),
            (interface.frozen_source.head, tables.leaving_VxD),
        ]
        found = [_squares(rows - source[...][ids].astype(jnp.float32)) for source, rows in sides if source is not None]
        weights = (lengths_U[ids] > 0).astype(jnp.float32)
        loss = jnp.sum(weights * sum(found)) / len(found)
        return loss, {"weights": jnp.sum(weights), "loss": loss, "bytes": jnp.zeros((), jnp.float32)}

    return Objective(distances)


def _squares(away_nxD: Array) -> Array:
    return jnp.sum(jnp.square(away_nxD), axis=1)
