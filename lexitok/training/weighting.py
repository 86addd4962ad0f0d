"""How losses are weighed against each other: by fixed numbers, or by how large their gradients are.

Gradients are those by the hidden states that read-outs take, which all losses share: what the layers below get is a
linear function of these (Sener and Koltun, arXiv 1810.04650). One pass through a read-out is then enough for each loss,
and none through the layers. Where a step is cut into micro-batches, each has its own norms.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.training.optimizer import leniently
from lexitok.training.own import Memory

Norms = Float[Array, "n"]
_LEAST = 1e-12


@dataclasses.dataclass(frozen=True)
class Weighting:
    """The weights of some losses.

    Attributes:
      of: from the norms of their gradients and what is remembered, their weights.
      norms: whether it looks at the norms.
      memory: what is remembered before the first step.
      remember: from that, a step's losses and their norms, what is remembered next; None: as it was.
    """

    of: Callable[[Norms, Memory], Norms]
    norms: bool = True
    memory: Memory = dataclasses.field(default_factory=dict)
    remember: Callable[[Memory, Norms, Norms], Memory] | None = None


def make_weighting(c: ConfigDict, fixed: Mapping[str, float]) -> Weighting:
    """The weighting that a section describes.

    Args:
      c: a `lexitok.config.weighting` section; `c.kind` is one of `WEIGHTINGS`.
      fixed: what the config says of each loss.

    Raises:
      ValueError: an unknown kind, or settings out of range.
    """
    if c.kind not in WEIGHTINGS:
        raise ValueError(f"unknown weighting '{c.kind}'; there are {', '.join(WEIGHTINGS)}")
    return WEIGHTINGS[c.kind](c, np.array(list(fixed.values()), np.float32))


def by_config(c: ConfigDict, fixed_n: Float[np.ndarray, "n"]) -> Weighting:
    """What the config says."""
    del c
    return Weighting(lambda norms, memory: jnp.asarray(fixed_n), norms=False)


def gradmag(c: ConfigDict, fixed_n: Float[np.ndarray, "n"]) -> Weighting:
    """All gradients as large as one another, times what the config says (GradMag, arXiv 2503.20083).

    With `preserve` the weights sum to what they sum to in the config, as in the paper's code; else every gradient has
    the norm that its number says. A loss without a gradient has no weight.
    """
    total = float(fixed_n.sum())

    def of(norms_n: Norms, memory: Memory) -> Norms:
        del memory
        weights = jnp.where(norms_n > 0, fixed_n / jnp.maximum(norms_n, _LEAST), 0.0)
        return weights * (total / jnp.maximum(jnp.sum(weights), _LEAST)) if c.preserve else weights

    return Weighting(of)


def gradnorm(c: ConfigDict, fixed_n: Float[np.ndarray, "n"]) -> Weighting:
    """Weights that learn to give losses which fall slowly the larger gradients (GradNorm, arXiv 1711.02257).

    A loss's gradient, with its weight, is drawn to the mean of all times `r ** alpha`, where `r` is how much is left of
    the loss since the first step in which there was any, over the mean of that. Weights begin as in the config and keep
    their sum.

    Raises:
      ValueError: a rate that is not positive.
    """
    if not c.lr > 0:
        raise ValueError(f"the rate of weights is to be above 0, not {c.lr}")
    optimizer, total = leniently(optax.adam(c.lr)), float(fixed_n.sum())

    def remember(memory: Memory, losses_n: Norms, norms_n: Norms) -> Memory:
        weights: Any = memory["weights"]
        first = jnp.where(memory["first"] > 0, memory["first"], losses_n)
        # A loss that has compared nothing yet, or is below 0, as some can be, has all or nothing left.
        left = jnp.where(first > 0, jnp.maximum(losses_n, 0.0) / jnp.maximum(first, _LEAST), 1.0)
        wanted = jnp.mean(weights * norms_n) * (left / jnp.maximum(jnp.mean(left), _LEAST)) ** c.alpha
        gradient = jnp.sign(weights * norms_n - wanted) * norms_n
        updates, state = optimizer.update(gradient, memory["optimizer"], weights)
        weights = jnp.maximum(weights + updates, _LEAST)
        weights = weights * (total / jnp.sum(weights))
        return {"weights": weights, "first": first, "steps": memory["steps"] + 1.0, "optimizer": state}

    memory: dict[str, Any] = {"weights": jnp.asarray(fixed_n), "first": jnp.zeros(len(fixed_n)), "steps": jnp.zeros(())}
    return Weighting(
        lambda norms, memory: memory["weights"],
        memory=memory | {"optimizer": optimizer.init(memory["weights"])},
        remember=remember,
    )


WEIGHTINGS = {"fixed": by_config, "gradmag": gradmag, "gradnorm": gradnorm}
