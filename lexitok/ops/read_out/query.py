"""What can be asked of logits, and what comes back."""

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Bool, Float, Int

CHUNK = 512  # positions of a row whose logits are computed at once, unless a query says otherwise


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Query:
    """What is asked; what is not asked costs nothing.

    Attributes:
      targets_BxS: symbols whose nats are wanted; a model that is asked takes those of its batch.
      columns_BxSxC: symbols whose logits are wanted.
      group_of_V: the group of every symbol, from 0 below `groups`; each group's log-mass is wanted.
      groups: how many there are.
      top_k: how many of the largest logits are wanted.
      chunk: positions of a row whose logits are computed at once; changes no result.
    """

    targets_BxS: Int[Array, "B S"] | Any = None
    columns_BxSxC: Int[Array, "B S C"] | Any = None
    group_of_V: Int[Array, "V"] | Any = None
    groups: int = dataclasses.field(default=0, metadata={"static": True})
    top_k: int = dataclasses.field(default=0, metadata={"static": True})
    chunk: int = dataclasses.field(default=CHUNK, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Reductions:
    """What logits come to, float32; None where it was not asked for.

    Attributes:
      nll_BxS: nats of the targets.
      log_z_BxS: log of the sum of the exponentials of the logits.
      is_top_BxS: no symbol has a larger logit than the target.
      top_BxSxk: the largest logits, descending, and `top_ids_BxSxk`, whose they are; of equal ones the lowest id first.
      columns_BxSxC: logits of the symbols that were named.
      log_mass_BxSxG: log of the probability of each group: of one without symbols, minus infinity.
    """

    nll_BxS: Float[Array, "B S"] | Any = None
    log_z_BxS: Float[Array, "B S"] | Any = None
    is_top_BxS: Bool[Array, "B S"] | Any = None
    top_BxSxk: Float[Array, "B S k"] | Any = None
    top_ids_BxSxk: Int[Array, "B S k"] | Any = None
    columns_BxSxC: Float[Array, "B S C"] | Any = None
    log_mass_BxSxG: Float[Array, "B S G"] | Any = None
