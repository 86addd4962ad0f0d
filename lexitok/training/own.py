"""What an objective has of its own in a train state: parameters that no model has, and what it remembers."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array

Memory = Mapping[str, Any]  # of arrays, or trees of them


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Own:
    """In a state, and in its checkpoints; not in the model that comes of the run.

    Attributes:
      parameters: trained beside the model's, by the same optimizer, whose clipping counts them apart; None: none.
      optimizer: its state of them.
      memory: by name, what the objective takes from one step to the next.
    """

    parameters: Any
    optimizer: Any
    memory: Any


@dataclasses.dataclass(frozen=True)
class OwnMaker:
    """How an objective makes what it has of its own, and how it goes on.

    Attributes:
      parameters: from keys and the model that is trained, a tree or module of parameters; None: it has none.
      memory: what it remembers before the first step.
      remember: from that and a step's sums, what it remembers next.
      factor: of the learning rate of the parameters.
    """

    parameters: Callable[[nnx.Rngs, Any], Any] | None = None
    memory: Memory = dataclasses.field(default_factory=dict, compare=False)
    remember: Callable[[Memory, Mapping[str, Array]], Memory] | None = None
    factor: float = 1.0

    def make(self, rngs: nnx.Rngs, model: Any, optimizer: optax.GradientTransformation) -> Own:
        """What the objective begins with."""
        parameters = None if self.parameters is None else self.parameters(rngs, model)
        state = None if parameters is None else optimizer.init(parameters)
        return Own(parameters, state, jax.tree.map(jnp.asarray, dict(self.memory)))

    def next(self, own: Own, gradients: Any, sums: Mapping[str, Array], optimizer: optax.GradientTransformation) -> Own:
        """After a step of these gradients of its parameters, and these sums."""
        parameters, state = own.parameters, own.optimizer
        if parameters is not None:
            updates, state = optimizer.update(gradients, state, parameters)
            updates = jax.tree.map(lambda update: self.factor * update, updates)
            parameters = optax.apply_updates(parameters, updates)
        memory = own.memory if self.remember is None else dict(self.remember(own.memory, sums))
        return Own(parameters, state, memory)
