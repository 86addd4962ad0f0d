"""The train state, and how it comes into being without a full copy on any device.

What is trained and what is fixed are two trees. Fixed are the parts that `optimizer.frozen` names, and whatever stands
below a name that begins with `frozen_` (BLT's entropy model), and what is made and not learnt (`lexitok.made`): they
have no gradient, no moments and no average. Of tables with a row a symbol, some rows may be trained alone
(`optimizer.rows`): the table is fixed then, and what is trained are these rows, `[n, D]` under the same name, which
take the place of the table's own wherever the model is put together.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from lexitok.made import is_made
from lexitok.parameter_axes import axes_by_name, kind_of, map_with_axes
from lexitok.parameter_names import map_with_name, merge, names, split, to_dicts
from lexitok.sharding import state_shardings
from lexitok.training.own import OwnMaker

MakeModel = Callable[[nnx.Rngs], Any]
Fixed = dict[str, Any]
_OWN = 1  # folded into the key of the model, makes that of what the objective has of its own


class SetupError(ValueError):
    """Settings that do not go together; the message says which."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a step reads and changes.

    Attributes:
      step: steps taken.
      trained: the model's parameters that are trained, float32; None in place of the others.
      fixed: by name, what is only read: as `model` the model's other parameters, as `rows` the ids `[n]` of the rows
        that are trained where the rest of their tables is not, and whatever else an objective needs.
      optimizer: the optimizer's state.
      ema: exponential average of `trained`, or None.
      own: what the objective has of its own, or None.
    """

    step: Any  # int32 scalar; a shape or a sharding where the state is abstract
    trained: Any
    fixed: Fixed
    optimizer: Any
    ema: Any
    own: Any = None  # an `Own`

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
    if "rows" not in fixed:
        return merge(trained, fixed["model"])

    def one(x: Any, whole: Any) -> Any:
        if x is None or whole is None:
            return whole if x is None else x
        return _with_rows(whole, fixed["rows"], x)

    return jax.tree.map(one, trained, fixed["model"], is_leaf=lambda x: x is None)


@jax.jit  # also where it is called as it is, under a transfer guard
def _with_rows(
    table_VxD: Float[Array, "V D"], ids_n: Int[Array, "n"], rows_nxD: Float[Array, "n D"]
) -> Float[Array, "V D"]:
    return table_VxD.astype(rows_nxD.dtype).at[ids_n].set(rows_nxD)


@dataclasses.dataclass(frozen=True)
class StateMaker:
    """Makes states, whole or as shapes.

    Attributes:
      make_model: makes the model from a stream of keys.
      optimizer: of what is trained.
      frozen: parts of the model that are fixed, by name, as `stage.backbone`.
      fixed_dtype: of fixed matrices and tables, `float32` or `bfloat16`.
      ema: whether an average is kept: not, where it is 0.
      rows: ids `[n]` of symbols: of the interface's tables only their rows are trained; None: all.
      own: makes what the objective has of its own; None: nothing.
      read: shapes of models that are only read, by the name that they have among what is fixed. In a fresh state they
        are zeros; who makes one puts their parameters there (`lexitok.training.starts`).
    """

    make_model: MakeModel
    optimizer: optax.GradientTransformation
    frozen: Sequence[str] = ()
    fixed_dtype: str = "float32"
    ema: float = 0.0
    rows: Int[np.ndarray, "n"] | None = dataclasses.field(default=None, compare=False)
    read: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    own: OwnMaker | None = None

    def make(self, key: Array) -> TrainState:
        """A fresh state; to be traced or jitted."""
        model = self.make_model(nnx.Rngs(params=key))
        trained, fixed = self.split(model)
        average = jax.tree.map(jnp.copy, trained) if self.ema else None
        parts = {"model": fixed} | ({} if self.rows is None else {"rows": jnp.asarray(self.rows)})
        parts |= jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), dict(self.read))
        own_keys = nnx.Rngs(params=jax.random.fold_in(key, _OWN))
        own = None if self.own is None else self.own.make(own_keys, model, self.optimizer)
        return TrainState(jnp.zeros((), jnp.int32), trained, parts, self.optimizer.init(trained), average, own)

    def split(self, model: Any) -> tuple[Any, Any]:
        """What of a model is trained, and what is fixed, in the dtype for that."""
        _check_frozen(model, self.frozen)
        fixed, trained = split(model, lambda name: is_fixed(name, self.frozen))
        if self.rows is not None:
            tables = _tables(model, self.frozen)
            fixed = merge(fixed, split(model, lambda name: name in tables)[0])
            trained = map_with_name(lambda name, x: x[self.rows] if name in tables else x, trained)
        return trained, rounded(fixed, self.fixed_dtype)

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


def rounded(model: Any, dtype: str) -> Any:
    """A model that is only read, or the part that is, with its matrices and tables in this dtype; norms stay."""

    def cast(axes: str | None, x: Any) -> Any:
        return x if axes is None or kind_of(axes).is_vector else x.astype(jnp.dtype(dtype))

    return map_with_axes(cast, model)


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


def _tables(model: Any, frozen: Sequence[str]) -> tuple[str, ...]:
    """The tables of a model's interface with a row for each symbol, but those that are frozen whole."""
    interface, V = model.interface, model.interface.vocabulary_size
    shapes, axes = names(to_dicts(interface)), axes_by_name(interface)
    found = [name for name, letters in axes.items() if letters.startswith("V") and shapes[name].shape[0] == V]
    tables = tuple(name for name in (f"interface.{name}" for name in found) if not is_fixed(name, frozen))
    if not tables:
        raise SetupError(
            f"optimizer.rows: a {type(interface).__name__} has no table that is trained, with a row for each of the "
            f"{V} symbols"
        )
    return tables


def with_parameters(state: TrainState, values: dict[str, Any]) -> TrainState:
    """The state with other values of some parameters, by their names in the model, wherever these are kept.

    Each copy is an array of its own, for a step donates them all.
    """
    partly = names(to_dicts(state.fixed["model"])) if "rows" in state.fixed else {}

    def put(name: str, leaf: Any) -> Any:
        if name not in values:
            return leaf
        value = jnp.array(values[name], leaf.dtype, copy=True)
        return jax.device_put(value, leaf.sharding, may_alias=False)

    def put_rows(name: str, leaf: Any) -> Any:
        if name not in values or name not in partly:
            return put(name, leaf)
        rows = np.asarray(values[name])[np.asarray(jax.device_get(state.fixed["rows"]))]
        return jax.device_put(jnp.array(rows, leaf.dtype), leaf.sharding, may_alias=False)

    trained, ema = (None if part is None else map_with_name(put_rows, part) for part in (state.trained, state.ema))
    fixed = state.fixed | {"model": map_with_name(put, state.fixed["model"])}
    return dataclasses.replace(state, trained=trained, fixed=fixed, ema=ema)


def _jitted(make: Callable[[Array], Any], like: Any, seed: int) -> Any:
    shardings = jax.tree.map(lambda leaf: leaf.sharding, like)
    # It runs once, and draws many small arrays: on a CPU, compiling it well takes far longer than it ever runs.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(make, out_shardings=shardings, compiler_options=options)(jax.random.key(seed))
