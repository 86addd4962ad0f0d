"""Products in a traced program: what they cost, forward and backward.

The gradient of a product takes another one for each of its factors that depends on what is trained: three passes where
both do, two where weights are frozen and what enters them is not, one where nothing below them is trained. So the walk
over a program carries, for each of its values, whether it depends on trained values. That is an upper bound: what
`stop_gradient` cuts off leaves no trace in a program.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal

from lexitok.ops.attention.api import MARK

UNCOUNTED = {  # primitives that multiply matrices in a way that has no count here
    "cholesky", "eig", "eigh", "ffi_call", "fft", "householder_product", "lu", "qr", "ragged_dot_general", "schur",
    "svd", "triangular_solve", "tridiagonal_solve",
}  # fmt: skip


class FlopsError(ValueError):
    """A program whose products cannot be counted; the message names the part of it."""


class Count(NamedTuple):
    """FLOPs of a program, and which of its results depend on what is trained."""

    flops: float
    trained: list[bool]


def count(program: Jaxpr, trained: Sequence[bool]) -> Count:
    """Counts a program of whose arguments some are trained, or depend on what is.

    Raises:
      FlopsError: products in a loop of unknown length, or by a primitive that is not known here.
    """
    known = dict(zip(program.invars, trained, strict=True))

    def depends(value: Any) -> bool:
        return not isinstance(value, Literal) and known.get(value, False)

    flops = []
    for equation in program.eqns:
        of_equation = _equation(equation, [depends(value) for value in equation.invars])
        flops.append(of_equation.flops)
        for value, is_trained in zip(equation.outvars, of_equation.trained, strict=True):
            known[value] = is_trained and _has_gradient(value.aval)
    return Count(math.fsum(flops), [depends(value) for value in program.outvars])


def _has_gradient(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jnp.inexact)


def _equation(e: Any, trained: list[bool]) -> Count:
    name = e.primitive.name
    if name in COUNTS:
        return COUNTS[name](e, trained)
    if name in UNCOUNTED:
        raise FlopsError(f"'{name}' has no count of its FLOPs; add one to lexitok.training.products.COUNTS")
    inner = _inner(e.params)
    if len(inner) == 1 and len(inner[0].invars) == len(trained) and len(inner[0].outvars) == len(e.outvars):
        return count(inner[0], trained)
    return _all(e, math.fsum(count(one, [any(trained)] * len(one.invars)).flops for one in inner), trained)


def _all(e: Any, flops: float, trained: Sequence[bool]) -> Count:
    """Every result depends on every argument."""
    return Count(flops, [any(trained)] * len(e.outvars))


def _inner(params: dict[str, Any]) -> list[Jaxpr]:
    """The programs that an equation calls: of `jit`, `remat`, `custom_vjp` and whatever else holds one."""
    items = [item for value in params.values() for item in (value if isinstance(value, tuple | list) else (value,))]
    programs = [getattr(item, "jaxpr", item) for item in items]  # the one within a closed one
    return [program for program in programs if isinstance(program, Jaxpr)]


def _dot(e: Any, trained: list[bool]) -> Count:
    (contracted, _), _ = e.params["dimension_numbers"]
    left, out = e.invars[0].aval, e.outvars[0].aval
    once = 2.0 * out.size * math.prod(left.shape[axis] for axis in contracted)
    return _all(e, once * (1 + sum(trained)), trained)


def _convolution(e: Any, trained: list[bool]) -> Count:
    kernel, out = e.invars[1].aval, e.outvars[0].aval
    once = 2.0 * out.size * kernel.size / kernel.shape[e.params["dimension_numbers"].rhs_spec[0]]
    return _all(e, once * (1 + sum(trained)), trained)


def _jit(e: Any, trained: list[bool]) -> Count:
    mark = e.params["name"]
    if mark.startswith(MARK):  # scores and mixture: two products of every query with what it sees
        once = 4.0 * e.outvars[0].aval.size * float(mark.removeprefix(MARK))
        return _all(e, once * (3 if any(trained) else 1), trained)
    return count(e.params["jaxpr"].jaxpr, trained)


def _scan(e: Any, trained: list[bool]) -> Count:
    body = e.params["jaxpr"].jaxpr  # of constants, what is carried around, and parts of what is scanned over
    scanned = sum(whole.aval.ndim > part.aval.ndim for whole, part in zip(e.invars, body.invars, strict=True))
    carried = sum(whole.aval.ndim == part.aval.ndim for whole, part in zip(e.outvars, body.outvars, strict=True))
    constants, trained = len(trained) - scanned - carried, list(trained)
    while True:  # until what is carried around depends on no more than it did
        once = count(body, trained)
        more = [a or b for a, b in zip(trained[constants : constants + carried], once.trained[:carried], strict=True)]
        if more == trained[constants : constants + carried]:
            return Count(e.params["length"] * once.flops, once.trained)
        trained[constants : constants + carried] = more


def _while(e: Any, trained: list[bool]) -> Count:
    if any(count(one, [False] * len(one.invars)).flops for one in _inner(e.params)):
        raise FlopsError(
            "products in a while loop of unknown length cannot be counted; use a scan, or a fori_loop with fixed bounds"
        )
    return _all(e, 0.0, trained)


def _cond(e: Any, trained: list[bool]) -> Count:
    branches = [count(branch.jaxpr, trained[1:]) for branch in e.params["branches"]]
    depends = [any(outs) for outs in zip(*(branch.trained for branch in branches), strict=True)]
    return Count(max(branch.flops for branch in branches), depends)


def _shard_map(e: Any, trained: list[bool]) -> Count:
    """The program of one device, times the devices that share it: those along axes that anything is split over."""
    mesh, specs = e.params["mesh"], (*e.params["in_specs"], *e.params["out_specs"])
    parts = [part for spec in specs for part in spec if part is not None]
    axes = {axis for part in parts for axis in (part if isinstance(part, tuple) else (part,))}
    of_one = count(e.params["jaxpr"], trained)
    return Count(math.prod(mesh.shape[axis] for axis in axes) * of_one.flops, of_one.trained)


def _pallas(e: Any, trained: list[bool]) -> Count:
    """Twice as much backward as forward where anything is trained."""
    once = math.fsum(count(one, [False] * len(one.invars)).flops for one in _inner(e.params))
    grid = e.params["grid_mapping"].grid
    if once and not all(isinstance(n, int) for n in grid):
        raise FlopsError(f"a kernel with the grid {grid} cannot be counted: its size is not known before it runs")
    flops = math.prod(grid) * once if once else 0.0
    return _all(e, flops * (3 if any(trained) else 1), trained)


COUNTS: dict[str, Callable[[Any, list[bool]], Count]] = {
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
