"""Model FLOPs, counted from the traced program of a forward pass, and peak rates of accelerators.

Counted are products of matrices and convolutions, 2 FLOPs a multiplication, wherever they stand in the program, so that
a new part of a model needs no formula of its own (`lexitok.training.products`). Look-ups, norms, softmaxes,
element-wise recurrences and sorts are not. Attention is counted by the keys that a query sees
(`lexitok.ops.attention.api.keys_seen`), not by what an implementation multiplies; packed documents see less than a row,
so that it is an upper bound. Training a model whose parameters all learn is three forward passes; what is frozen costs
less. What rematerialisation makes again is not the model's.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.interpreters.partial_eval import dce_jaxpr

from lexitok.data.batch import Batch
from lexitok.ops.read_out import Query
from lexitok.parameter_names import split
from lexitok.training.products import count
from lexitok.training.state import is_fixed, model_of

PEAK_TFLOPS = {  # dense bfloat16, vendors' data sheets
    "TPU v4": 275.0,
    "TPU v5 lite": 197.0,
    "TPU v5": 459.0,
    "TPU v6 lite": 918.0,
    "NVIDIA H100 80GB HBM3": 989.0,
    "NVIDIA H200": 989.0,
}
_MOVING = (0, 3)  # arguments of an objective that have a gradient: the model's and its own parameters


def peak_flops(device: Any) -> float | None:
    """The device's peak, FLOP/s in bfloat16, or None if it is not in the table."""
    peak = PEAK_TFLOPS.get(device.device_kind)
    return None if peak is None else peak * 1e12


def training_flops(setup_or_model: Any, batch: Batch) -> float:
    """FLOPs of one step's forward and backward pass; what is frozen has no gradient, and passes one on where it must.

    Args:
      setup_or_model: a `lexitok.training.setup.Setup`, whose objective is counted, or a model with `read_out(batch)`,
        whose parameters are trained but those below a name that begins with `frozen_`; its arrays may be shapes.
      batch: the whole batch of a step; shapes are enough.

    Raises:
      FlopsError: as `forward_flops`.
    """
    if hasattr(setup_or_model, "objective"):
        state, function = setup_or_model.abstract_state, setup_or_model.objective
        own = () if state.own is None else (state.own.parameters, state.own.memory)
        trained, fixed = state.trained, state.fixed
    else:
        fixed, trained = split(setup_or_model, is_fixed)
        query = Query(chunk=batch.tokens.symbols_BxS.shape[1])  # whole rows: nothing fills up a last chunk
        own, fixed, function = (), {"model": fixed}, lambda a, b, batch: model_of(a, b).read_out(batch, query)
    args = (trained, fixed, batch, *own)
    depends = tuple(jax.tree.map(lambda _, moves=i in _MOVING: moves, part) for i, part in enumerate(args))
    return _flops(function, args, depends)


def forward_flops(function: Callable[..., Any], *abstract_args: Any) -> float:
    """FLOPs of `function(*abstract_args)`, which is traced and not run.

    Args:
      function: of pytrees of arrays.
      abstract_args: its arguments; shapes (`jax.ShapeDtypeStruct`) are enough.

    Raises:
      FlopsError: products in a loop of unknown length, or by a primitive that is not known here.
    """
    return _flops(function, abstract_args, jax.tree.map(lambda _: False, abstract_args))


def _flops(function: Callable[..., Any], args: tuple[Any, ...], trained: tuple[Any, ...]) -> float:
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), args)
    jaxpr = jax.make_jaxpr(function)(*shapes).jaxpr
    used = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars), instantiate=True)[0]  # what nothing is made of is not computed
    return count(used, jax.tree.leaves(trained)).flops
