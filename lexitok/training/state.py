"""The train state, and how it comes into being without a full copy on any device.

What is trained and what is fixed are two trees. Fixed are the parts that `optimizer.frozen` names, and whatever stands
below a name that begins with `frozen_` (BLT's entropy model), and what is made and not learnt (`lexitok.made`): they
have no gradient, no moments and no average.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array

from lexitok.made import is_made
from lexitok.parameter_names import map_with_name, merge, names, split, to_dicts
from lexitok.sharding import state_shardings

MakeModel = Callable[[nnx.Rngs], Any]
Fixed = dict[str, Any]


class SetupError(ValueError):
    """Settings that do not go together; the message says which."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a step reads and changes.

    Attributes:
      step: steps taken.
      trained: the model's parameters that are trained, float32; None in place of the others.
      fixed: by name, what is only read: as `model` the model's other parameters, and whatever else an objective needs.
      optimizer: the optimizer's state.
      ema: exponential average of `trained`, or None.
    """

    step: Any  # int32 scalar; a shape or a sharding where the state is abstract
    trained: Any
    fixed: Fixed
    optimizer: Any
    ema: Any

    @property
    def model(self) -> Any:
        """The whole model."""
        return model_of(self.trained, self.fixed)

    @property
    def averaged(self) -> Any:
        """The model to evaluate: the average of what is trained where there is one."""
        return self.model if self.ema is None else model_of(self.ema, self.fixed)


def model_of(trained: Any, fixed: Fixed) -> Any:
    """The model of a state's two parts."""
    return merge(trained, fixed["model"])


@dataclasses.dataclass(frozen=True)
class StateMaker:
    """Makes states, whole or as shapes.

    Attributes:
      make_model: makes the model from a stream of keys.
      optimizer: of what is trained.
      frozen: parts of the model that are fixed, by name, as `stage.backbone`.
      fixed_dtype: of fixed matrices and tables, `float32` or `bfloat16`.
      ema: whether an average is kept: not, where it is 0.
    """

    make_model: MakeModel
    optimizer: optax.GradientTransformation
    frozen: Sequence[str] = ()
    fixed_dtype: str = "float32"
    ema: float = 0.0

    def make(self, key: Array) -> TrainState:
        """A fresh state; to be traced or jitted."""
        trained, fixed = self.split(self.make_model(nnx.Rngs(params=key)))
        average = jax.tree.map(jnp.copy, trained) if self.ema else None
        return TrainState(jnp.zeros((), jnp.int32), trained, {"model": fixed}, self.optimizer.init(trained), average)

    def split(self, model: Any) -> tuple[Any, Any]:
        """What of a model is trained, and what is fixed, in the dtype for that."""
        _check_frozen(model, self.frozen)
        dtype = jnp.dtype(self.fixed_dtype)
        fixed, trained = split(model, lambda name: is_fixed(name, self.frozen))

        def cast(name: str, x: Any) -> Any:
            return x.astype(dtype) if x.ndim > 1 and not is_made(name) else x

        return trained, map_with_name(cast, fixed)

    def abstract(self, mesh: Mesh) -> TrainState:
        """Shapes, dtypes and shardings of a state, as `ShapeDtypeStruct`; nothing is allocated.

        Raises:
          SetupError: `frozen` names a part that the model has not.
        """
        shapes = jax.eval_shape(self.make, jax.eval_shape(lambda: jax.random.key(0)))
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            shapes,
            state_shardings(shapes, mesh),
        )

    def init(self, like: TrainState, seed: int) -> TrainState:
        """A fresh state, every device making only its own part; the same on every mesh. `like` is `abstract`."""
        return _jitted(self.make, like, seed)

    def init_model(self, like: TrainState, seed: int) -> Any:
        """The model of the state that `init` makes, by itself."""
        return _jitted(lambda key: self.make_model(nnx.Rngs(params=key)), like.model, seed)


def is_fixed(name: str, parts: Sequence[str] = ()) -> bool:
    """Whether a leaf of a model is only read.

    It is where `frozen_` is in front of a part of its name, where it is in one of `parts`, and where it is made.
    """
    frozen = any(part.startswith("frozen_") for part in name.split("."))
    return frozen or is_made(name) or any(name == part or name.startswith(part + ".") for part in parts)


def _check_frozen(model: Any, parts: Sequence[str]) -> None:
    there_are = list(names(to_dicts(model)))
    for part in parts:
        if not any(name == part or name.startswith(part + ".") for name in there_are):
            tops = dict.fromkeys(name.rpartition(".")[0] for name in there_are)
            raise SetupError(f"optimizer.frozen: the model has no part '{part}'; there are {', '.join(tops)}")


def with_parameters(state: TrainState, values: dict[str, Any]) -> TrainState:
    """The state with other values of some parameters, by their names in the model, wherever these are kept.

    Each copy is an array of its own, for a step donates them all.
    """

    def put(name: str, leaf: Any) -> Any:
        if name not in values:
            return leaf
        value = jnp.array(values[name], leaf.dtype, copy=True)
        return jax.device_put(value, leaf.sharding, may_alias=False)

    def filled(part: Any) -> Any:
        return None if part is None else map_with_name(put, part)

    fixed = state.fixed | {"model": filled(state.fixed["model"])}
    return dataclasses.replace(state, trained=filled(state.trained), fixed=fixed, ema=filled(state.ema))


def _jitted(make: Callable[[Array], Any], like: Any, seed: int) -> Any:
    shardings = jax.tree.map(lambda leaf: leaf.sharding, like)
    # It runs once, and draws many small arrays: on a CPU, compiling it well takes far longer than it ever runs.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(make, out_shardings=shardings, compiler_options=options)(jax.random.key(seed))
