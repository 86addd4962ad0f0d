"""One training step: gradients summed over micro-batches, one update."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from lexitok.data.batch import Batch
from lexitok.training.objectives import Objective, Sums
from lexitok.training.optimizer import exponential_average
from lexitok.training.state import TrainState


def make_step(
    objective: Objective, optimizer: optax.GradientTransformation, *, accumulate: int = 1, ema: float = 0.0
) -> Callable[[TrainState, Batch], tuple[TrainState, Sums]]:
    """The function of a state and a batch to the next state and the batch's sums, to be jitted with `donate_argnums=0`.

    Args:
      objective: to be minimised, summed over targets; the gradient is of its mean over all targets of the batch.
      optimizer: makes updates from gradients.
      accumulate: micro-batches that the rows are cut into; the result is that of the whole batch.
      ema: decay of the average of the parameters; 0: none is kept.

    Returns:
      The step; its sums also hold `grad_norm`, before clipping.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        (grads, own_grads), sums = summed_gradients(objective, state, batch, accumulate)
        scale = 1.0 / jnp.maximum(sums["weights"], 1.0)
        grads, own_grads = jax.tree.map(lambda g: g * scale, (grads, own_grads))
        updates, opt_state = optimizer.update(grads, state.optimizer, state.trained)
        trained = optax.apply_updates(state.trained, updates)
        average = state.ema
        if ema:
            average = exponential_average(average, trained, ema, state.step)
        own = state.own
        if own is not None and objective.own is not None:
            own = objective.own.next(own, own_grads, sums, optimizer)
        new = TrainState(state.step + 1, trained, state.fixed, opt_state, average, own)
        return new, {**sums, "grad_norm": optax.tree.norm(grads)}

    return step


def summed_gradients(
    objective: Objective, state: TrainState, batch: Batch, accumulate: int
) -> tuple[tuple[Any, Any], Sums]:
    """Gradients of the model that is trained and of the objective's own parameters, and the objective's sums.

    They are of one micro-batch at a time, and summed.
    """
    parameters, memory = (None, {}) if state.own is None else (state.own.parameters, state.own.memory)

    def gradient(rows: Batch) -> tuple[tuple[Any, Any], Sums]:
        found = jax.grad(objective, argnums=(0, 3), has_aux=True)
        return found(state.trained, state.fixed, rows, parameters, memory)

    if accumulate == 1:
        return gradient(batch)

    def cut(x: Array) -> Array:  # every micro-batch takes rows from every device
        return jnp.moveaxis(x.reshape(x.shape[0] // accumulate, accumulate, *x.shape[1:]), 1, 0)

    def of(rows: Batch) -> tuple[Any, Sums]:
        return gradient(dataclasses.replace(rows, vocabulary=batch.vocabulary))

    micro_batches = jax.tree.map(cut, dataclasses.replace(batch, vocabulary=None))
    shapes = jax.eval_shape(of, jax.tree.map(lambda x: x[0], micro_batches))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def add(total: Any, rows: Batch) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, of(rows)), None

    return jax.lax.scan(add, zeros, micro_batches)[0]
