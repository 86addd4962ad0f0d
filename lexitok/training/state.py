"""The train state, and how it comes into being without a full copy on any device."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array

from lexitok.sharding import state_shardings


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a step changes.

    Attributes:
      step: steps taken.
      model: parameters, float32.
      optimizer: the optimizer's state.
      ema: exponential average of the parameters, or None.
    """

    step: Any  # int32 scalar; a shape or a sharding where the state is abstract
    model: Any
    optimizer: Any
    ema: Any

    @property
    def averaged(self) -> Any:
        """The parameters to evaluate: the average where there is one."""
        return self.model if self.ema is None else self.ema


MakeModel = Callable[[nnx.Rngs], Any]


def make_state(make_model: MakeModel, optimizer: optax.GradientTransformation, key: Array, *, ema: float) -> TrainState:
    """A fresh state; to be traced or jitted, see `init_state`."""
    model = make_model(nnx.Rngs(params=key))
    average = jax.tree.map(jnp.copy, model) if ema else None
    return TrainState(jnp.zeros((), jnp.int32), model, optimizer.init(model), average)


def abstract_state(
    make_model: MakeModel, optimizer: optax.GradientTransformation, mesh: Mesh, *, ema: float
) -> TrainState:
    """Shapes, dtypes and shardings of the state, as `ShapeDtypeStruct`; nothing is allocated."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    shapes = jax.eval_shape(lambda key: make_state(make_model, optimizer, key, ema=ema), key)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        state_shardings(shapes, mesh),
    )


def init_state(
    make_model: MakeModel, optimizer: optax.GradientTransformation, like: TrainState, seed: int, *, ema: float
) -> TrainState:
    """A fresh state, every device making only its own part. The same on every mesh.

    Args:
      make_model, optimizer, ema: as for `abstract_state`.
      like: what `abstract_state` gave.
      seed: of the initialisation.
    """
    return _made(lambda key: make_state(make_model, optimizer, key, ema=ema), like, seed)


def init_model(make_model: MakeModel, like: Any, seed: int) -> Any:
    """The model of the state that `init_state` makes of the same seed, by itself.

    Args:
      make_model, seed: as for `init_state`.
      like: its shapes and shardings.
    """
    return _made(lambda key: make_model(nnx.Rngs(params=key)), like, seed)


def _made(make: Callable[[Array], Any], like: Any, seed: int) -> Any:
    shardings = jax.tree.map(lambda leaf: leaf.sharding, like)
    # It runs once, and draws many small arrays: on a CPU, compiling it well takes far longer than it ever runs.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(make, out_shardings=shardings, compiler_options=options)(jax.random.key(seed))
