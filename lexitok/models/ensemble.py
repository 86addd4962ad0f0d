"""Several models of one vocabulary as one model."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lexitok.data.batch import Batch
from lexitok.models.extras import Extras, of_batch
from lexitok.ops.read_out import Query, Reductions
from lexitok.ops.read_out.positions import cut, joined, of_positions
from lexitok.ops.read_out.reference import reduced

MEANS = ("probability", "logit")


class Ensemble(nnx.Module):
    """The mean of the members' distributions of the next symbol.

    Args:
      members: models with `read`, of one vocabulary and one way to cut texts into units.
      mean: of what: `probability`, or `logit`, where it is the geometric mean, made to sum to one.

    Raises:
      ValueError: no members, or an unknown mean.
    """

    def __init__(self, members: Sequence[Any], mean: str = "probability"):
        if not members:
            raise ValueError("an ensemble has one member at least")
        if mean not in MEANS:
            raise ValueError(f"unknown mean '{mean}'; there are {', '.join(MEANS)}")
        self.members, self.mean = nnx.List(members), mean

    def read_out(self, batch: Batch, query: Query | None = None) -> tuple[Reductions, Extras]:
        """What is asked of the logarithms of the mean, by default the nats of the batch's targets.

        Logits of all members are held, for `query.chunk` positions of a row at a time. Counts are the first one's.
        """
        reads = [member.read(batch) for member in self.members]
        positions, group_of_V = of_positions(of_batch(query, batch))

        def of_chunk(chunk: tuple[list[Array], Query]) -> Reductions:
            hidden, positions = chunk
            logs = [jax.nn.log_softmax(read.bound.logits(h)) for read, h in zip(reads, hidden, strict=True)]
            return reduced(self._mean(jnp.stack(logs)), dataclasses.replace(positions, group_of_V=group_of_V))

        chunks = cut(([read.hidden_BxSxD for read in reads], positions), positions.chunk)
        found = joined(jax.lax.map(of_chunk, chunks), batch.tokens.symbols_BxS.shape[1])
        return found, Extras(jnp.zeros((), jnp.float32), reads[0].extras.sums)

    def _mean(self, logs: Float[Array, "n B C V"]) -> Float[Array, "B C V"]:
        if self.mean == "logit":
            return jnp.mean(logs, axis=0)
        return jax.nn.logsumexp(logs, axis=0) - jnp.log(float(len(logs)))
