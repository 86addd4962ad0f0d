"""Model FLOPs, counted from the traced program of a forward pass, and peak rates of accelerators.

Counted are products of matrices and convolutions, 2 FLOPs a multiplication, wherever they stand in the program, so that
a new part of a model needs no formula of its own. Look-ups, norms, softmaxes, element-wise recurrences and sorts are
not. Attention is counted by the keys that a query sees (`lexitok.ops.attention.api.keys_seen`), not by what an
implementation multiplies; packed documents see less than a row, so that it is an upper bound. Training is three forward
passes: the backward pass makes two products of each one. What rematerialisation makes again is not the model's.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import Jaxpr

from lexitok.data.batch import Batch
from lexitok.ops.attention import Places
from lexitok.ops.attention.api import MARK

PEAK_TFLOPS = {  # dense bfloat16, vendors' data sheets
    "TPU v4": 275.0,
    "TPU v5 lite": 197.0,
    "TPU v5": 459.0,
    "TPU v6 lite": 918.0,
    "NVIDIA H100 80GB HBM3": 989.0,
    "NVIDIA H200": 989.0,
}
UNCOUNTED = {  # primitives that multiply matrices in a way that has no count here
    "cholesky", "eig", "eigh", "ffi_call", "fft", "householder_product", "lu", "qr", "ragged_dot_general", "schur",
    "svd", "triangular_solve", "tridiagonal_solve",
}  # fmt: skip


class FlopsError(ValueError):
    """A program whose products cannot be counted; the message names the part of it."""


def peak_flops(device: Any) -> float | None:
    """The device's peak, FLOP/s in bfloat16, or None if it is not in the table."""
    peak = PEAK_TFLOPS.get(device.device_kind)
    return None if peak is None else peak * 1e12


def training_flops(setup_or_model: Any, batch: Batch) -> float:
    """FLOPs of one step's forward and backward pass: three times the forward pass, but once where nothing is learned.

    Parts that a config freezes (`optimizer.frozen`) are counted as if they were trained: an upper bound.

    Args:
      setup_or_model: a `lexitok.training.setup.Setup`, whose objective is counted, or a model with `scores(batch)`;
        its arrays may be shapes.
      batch: the whole batch of a step; shapes are enough.

    Raises:
      FlopsError: as `forward_flops`.
    """
    if hasattr(setup_or_model, "objective"):
        model, function = setup_or_model.abstract_state.model, setup_or_model.objective
    else:
        S = batch.symbols_BxS.shape[1]
        model, function = setup_or_model, lambda model, batch: model.scores(batch, chunk=S)
    return 3.0 * forward_flops(function, model, batch) - 2.0 * _frozen_flops(model, batch)


def _frozen_flops(model: Any, batch: Batch) -> float:
    """FLOPs of what a router asks of a model that is not trained, which has no backward pass."""
    router = getattr(getattr(model, "stage", None), "router", None)
    if not hasattr(router, "frozen_lm"):
        return 0.0
    return forward_flops(
        lambda router, batch: router.entropies(batch.symbols_BxS, Places(batch.segments_BxS, batch.positions_BxS)),
        router,
        batch,
    )


def forward_flops(function: Callable[..., Any], *abstract_args: Any) -> float:
    """FLOPs of `function(*abstract_args)`, which is traced and not run.

    Args:
      function: of pytrees of arrays.
      abstract_args: its arguments; shapes (`jax.ShapeDtypeStruct`) are enough.

    Raises:
      FlopsError: products in a loop of unknown length, or by a primitive that is not known here.
    """
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), abstract_args)
    return _count(jax.make_jaxpr(function)(*shapes).jaxpr)


def _count(jaxpr: Jaxpr) -> float:
    return math.fsum(_equation(equation) for equation in jaxpr.eqns)


def _equation(e: Any) -> float:
    name = e.primitive.name
    if name in COUNTS:
        return COUNTS[name](e)
    if name in UNCOUNTED:
        raise FlopsError(f"'{name}' has no count of its FLOPs; add one to lexitok.training.flops.COUNTS")
    return math.fsum(map(_count, _inner(e.params)))


def _inner(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs that an equation calls: of `jit`, `remat`, `custom_vjp` and whatever else holds one."""
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            program = getattr(item, "jaxpr", item)  # of a closed one
            if isinstance(program, Jaxpr):
                yield program


def _dot(e: Any) -> float:
    (contracted, _), _ = e.params["dimension_numbers"]
    left, out = e.invars[0].aval, e.outvars[0].aval
    return 2.0 * out.size * math.prod(left.shape[axis] for axis in contracted)


def _convolution(e: Any) -> float:
    kernel, out = e.invars[1].aval, e.outvars[0].aval
    return 2.0 * out.size * kernel.size / kernel.shape[e.params["dimension_numbers"].rhs_spec[0]]


def _jit(e: Any) -> float:
    mark = e.params["name"]
    if mark.startswith(MARK):  # scores and mixture: two products of every query with what it sees
        return 4.0 * e.outvars[0].aval.size * float(mark.removeprefix(MARK))
    return _count(e.params["jaxpr"].jaxpr)


def _scan(e: Any) -> float:
    return e.params["length"] * _count(e.params["jaxpr"].jaxpr)


def _while(e: Any) -> float:
    if any(map(_count, _inner(e.params))):
        raise FlopsError(
            "products in a while loop of unknown length cannot be counted; use a scan, or a fori_loop with fixed bounds"
        )
    return 0.0


def _cond(e: Any) -> float:
    return max(_count(branch.jaxpr) for branch in e.params["branches"])


def _shard_map(e: Any) -> float:
    """The program of one device, times the devices that share it: those along axes that anything is split over."""
    mesh, specs = e.params["mesh"], (*e.params["in_specs"], *e.params["out_specs"])
    parts = [part for spec in specs for part in spec if part is not None]
    axes = {axis for part in parts for axis in (part if isinstance(part, tuple) else (part,))}
    return math.prod(mesh.shape[axis] for axis in axes) * _count(e.params["jaxpr"])


def _pallas(e: Any) -> float:
    once = math.fsum(map(_count, _inner(e.params)))
    grid = e.params["grid_mapping"].grid
    if once and not all(isinstance(n, int) for n in grid):
        raise FlopsError(f"a kernel with the grid {grid} cannot be counted: its size is not known before it runs")
    return math.prod(grid) * once if once else 0.0


COUNTS: dict[str, Callable[[Any], float]] = {
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "jit": _jit,
    "pjit": _jit,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "shard_map": _shard_map,
    "pallas_call": _pallas,
}
