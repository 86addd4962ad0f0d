"""Optimizers: AdamW, and Muon for the matrices of the layers; the letters of its axes say what a parameter gets."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from lexitok.parameter_axes import kind_of, map_with_axes
from lexitok.training.schedules import make_schedule, peak


class OptimizerError(ValueError):
    """An optimizer that does not exist; the message lists those that do."""


def make_optimizer(config: ConfigDict, steps: int, symbols_per_batch: int) -> optax.GradientTransformation:
    """The optimizer of `config.name`: clipping by global norm, then AdamW or Muon with decoupled weight decay.

    Moments have the dtype of the parameters, float32.

    Args:
      config: the `optimizer` section.
      steps: of the whole run.
      symbols_per_batch: symbols that one step reads, over all devices.

    Raises:
      OptimizerError: an unknown name.
      ScheduleError: a schedule that does not fit.
    """
    if config.name not in OPTIMIZERS:
        raise OptimizerError(f"optimizer.name '{config.name}' is unknown; there are: {', '.join(OPTIMIZERS)}")
    schedule = make_schedule(config, steps, symbols_per_batch)
    update = OPTIMIZERS[config.name](config, schedule)
    if config.clip:
        update = optax.chain(optax.clip_by_global_norm(config.clip), update)
    return leniently(update)


def adamw(config: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """AdamW (arXiv 1711.05101), with weight decay where `decays` says so; the decay is scaled by the rate."""
    return optax.adamw(
        schedule, b1=config.b1, b2=config.b2, eps=config.eps, weight_decay=config.weight_decay, mask=decay_mask
    )


def muon(config: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Muon (Jordan 2024; arXiv 2502.16982 for the decay) for the matrices of layers, AdamW for all else.

    The rate of the matrices has the schedule's form and peaks at `muon_lr`.
    """
    ratio = config.muon_lr / peak(config)
    matrices = optax.chain(
        scale_by_muon(weight_dimension_numbers=_matrix_axes),
        optax.stateless(lambda updates, _: map_with_axes(_scaled_by_shape, updates)),
        optax.add_decayed_weights(config.weight_decay, mask=decay_mask),
        optax.scale_by_learning_rate(lambda step: ratio * schedule(step)),
    )
    return optax.partition({"muon": matrices, "adamw": adamw(config, schedule)}, _labels)


OPTIMIZERS = {"adamw": adamw, "muon": muon}


def decays(axes: str | None) -> bool:
    """Whether weight decay applies: to matrices and tables, not to norms, biases and single learned vectors.

    Args:
      axes: letters of a parameter's axes; None where it has none, and is no parameter of a model.
    """
    return axes is not None and not kind_of(axes).is_vector


def matrix_axes(axes: str | None) -> MuonDimensionNumbers | None:
    """The axes that make a parameter one matrix, or a stack of them, for Muon; None: it is not one, and AdamW has it.

    All heads together are one width: `D H N` maps `D` to them, `H N D` maps them to `D`. The rows of a table are
    symbols or positions, and it is no map between widths.
    """
    if axes is None or not kind_of(axes).is_matrix:
        return None
    inputs, outputs = (width[0] if len(width) == 1 else width for width in kind_of(axes).widths)
    return MuonDimensionNumbers(inputs, outputs)


def decay_mask(params: Any) -> Any:
    """`decays` of every parameter."""
    return map_with_axes(lambda axes, _: decays(axes), params)


def exponential_average(average: Any, params: Any, decay: float, step: jax.typing.ArrayLike) -> Any:
    """One step of the exponential average of the parameters.

    The decay rises to `decay` as `(1 + step) / (10 + step)`, so that the average soon forgets the initial values.

    Args:
      average: the average so far; at first, the parameters.
      params: after step `step`.
      decay: of the average, below 1.
      step: counted from 0.
    """
    step = jnp.asarray(step).astype(jnp.float32)
    now = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, p: a + (1.0 - now) * (p - a), average, params)


def leniently(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Optax raises a float to an integer power, which strict promotion refuses: it is traced without it."""

    def update(updates, state, params=None):
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


def _labels(params: Any) -> Any:
    return map_with_axes(lambda axes, _: "adamw" if matrix_axes(axes) is None else "muon", params)


def _scaled_by_shape(axes: str | None, update: jax.Array) -> jax.Array:
    """Wide outputs get larger updates: `sqrt(max(1, outputs / inputs))` (Jordan 2024)."""
    matrix = matrix_axes(axes)
    if matrix is None:
        raise ValueError(f"a parameter with axes '{axes}' is not a matrix, and cannot be updated by Muon")
    inputs, outputs = (
        math.prod(update.shape[a] for a in ((which,) if isinstance(which, int) else which))
        for which in (matrix.reduction_axis, matrix.output_axis)
    )
    return math.sqrt(max(1.0, outputs / inputs)) * update


def _matrix_axes(params: Any) -> Any:
    return map_with_axes(lambda axes, _: matrix_axes(axes), params)
