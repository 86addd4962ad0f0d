"""How much probability a model gives to some symbols, as those that were added to its vocabulary.

New rows that come out too large take probability from all that the model knew (Hewitt, "Initializing New Word
Embeddings for Pretrained Language Models", 2021); rows that come out too small are never predicted.
"""

import dataclasses
import functools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.placement import put_batch
from lexitok.data.windows import eval_batches
from lexitok.evals.scoring import ScoringError
from lexitok.ops.read_out import CHUNK, Query
from lexitok.sharding import replicated


@dataclasses.dataclass(frozen=True)
class NewMass:
    """The probability that new symbols get, added up over positions.

    Attributes:
      old_positions, new_positions: positions whose reference symbol is an old one, or a new one.
      old_sum, new_sum: over these positions, of the probability of all new symbols together.
    """

    old_positions: int
    new_positions: int
    old_sum: float
    new_sum: float

    @property
    def where_old(self) -> float:
        """The mean where an old symbol stands: what is taken from it; NaN without such positions."""
        return self.old_sum / self.old_positions if self.old_positions else math.nan

    @property
    def where_new(self) -> float:
        """The mean where a new symbol stands: what it could be predicted by; NaN without such positions."""
        return self.new_sum / self.new_positions if self.new_positions else math.nan

    @property
    def mean(self) -> float:
        """The mean over all positions."""
        return (self.old_sum + self.new_sum) / (self.old_positions + self.new_positions)


def new_mass(
    model: Any,
    encoder: Encoder,
    documents: Sequence[bytes],
    new: Collection[int],
    *,
    rows: int,
    symbols: int,
    units: int,
    overlap: float,
    chunk: int = CHUNK,
) -> NewMass:
    """The probability of new symbols over documents; each symbol of them, and their ends, are a position once.

    Args:
      model: has `read_out(batch, query)`.
      encoder: makes its symbols of the documents.
      documents: raw bytes.
      new: ids of the new symbols.
      rows, symbols, units, overlap, chunk: as of `lexitok.evals.evaluate`.

    Raises:
      ValueError: no documents, no ids, or one that is outside the vocabulary.
      ScoringError: a probability is not finite.
    """
    size = encoder.vocabulary.size
    ids = sorted(set(new))
    if not documents or not ids or not 0 <= ids[0] <= ids[-1] < size:
        raise ValueError(f"{len(documents)} documents and {len(ids)} new ids, which are to be from 0 to {size - 1}")
    is_new = np.zeros(size, np.int32)
    is_new[ids] = 1
    positions, sums = np.zeros(2, np.int64), np.zeros(2)
    shape = {"rows": rows, "symbols": symbols, "units": units, "overlap": overlap}
    mass_of = _mass_of(replicated(), chunk)
    for batch, ranges in eval_batches(documents, encoder, **shape):
        mass_BxS = np.asarray(jax.device_get(mass_of(model, put_batch(batch), is_new)), np.float64)
        for scored in ranges:
            at = (scored.row, slice(scored.column, scored.column + scored.length))
            predicted = np.asarray(batch.tokens.weights_BxS[at]) > 0
            of_new, mass = is_new[np.asarray(batch.tokens.targets_BxS[at])][predicted], mass_BxS[at][predicted]
            if not np.isfinite(mass).all():
                raise ScoringError(f"document {scored.document}: the probability of new symbols is not finite")
            positions += np.bincount(of_new, minlength=2)
            sums += np.bincount(of_new, weights=mass, minlength=2)
    return NewMass(int(positions[0]), int(positions[1]), float(sums[0]), float(sums[1]))


@functools.cache
def _mass_of(out: NamedSharding | None, chunk: int) -> Any:
    """The jitted function from a model, a batch and the group of each symbol to `[B, S]`; one for each mesh."""

    def mass(model: Any, batch: Batch, group_of_V: Any) -> jax.Array:
        found, _ = model.read_out(batch, Query(group_of_V=group_of_V, groups=2, chunk=chunk))
        return jnp.exp(found.log_mass_BxSxG[..., 1])

    return jax.jit(mass, out_shardings=out)


def mass_table(masses: Mapping[str, NewMass]) -> str:
    """A line for each of some models, as before and after a training, on the same documents."""
    lines = ["| | mean | where the token is old | where it is new |", "|---|---:|---:|---:|"]
    for name, mass in masses.items():
        cells = ("–" if math.isnan(x) else f"{x:.2e}" for x in (mass.mean, mass.where_old, mass.where_new))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
