"""Looking into traced programs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


def inner(equation: Any) -> Iterator[Jaxpr | ClosedJaxpr]:
    """The programs that an equation calls."""
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Jaxpr | ClosedJaxpr):
                yield item


def equations(program: Jaxpr | ClosedJaxpr) -> Iterator[Any]:
    """All equations of a program, those of the programs that it calls included."""
    for equation in (program.jaxpr if isinstance(program, ClosedJaxpr) else program).eqns:
        yield equation
        for part in inner(equation):
            yield from equations(part)


def constants(program: Jaxpr | ClosedJaxpr) -> Iterator[Any]:
    """All arrays and numbers that a program holds, those of the programs that it calls included."""
    if isinstance(program, ClosedJaxpr):
        yield from program.consts
        program = program.jaxpr
    for equation in program.eqns:
        yield from (value.val for value in equation.invars if isinstance(value, Literal))
        for part in inner(equation):
            yield from constants(part)


def large_constants(program: ClosedJaxpr, nbytes: int) -> list[str]:
    """Dtype and shape of the constants of a program that are larger than this."""
    found = [np.asarray(value) for value in constants(program)]
    return [f"{value.dtype}{list(value.shape)}" for value in found if value.nbytes > nbytes]
