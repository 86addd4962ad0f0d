"""Where a compiled program moves what between devices: its collectives by kind, inside loops and outside, and bytes."""

import dataclasses
import math
import re
from collections.abc import Iterator

COLLECTIVES = ("all-gather", "reduce-scatter", "all-reduce", "collective-permute", "all-to-all")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) (?:\(.*\) -> .* )?\{")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition|branch_computations|called_computations)=\{?(%?[\w.\-, %]+)\}?")
_BODY = re.compile(r" while\(.*body=%?([\w.\-]+)")
_COLLECTIVE = re.compile(rf"= (.*?) ({'|'.join(COLLECTIVES)})(?:-start)?\(")
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective of a program.

    Attributes:
      kind: one of `COLLECTIVES`.
      in_loop: it stands in the body of a loop: it runs once a pass.
      nbytes: of its largest array, on one device.
    """

    kind: str
    in_loop: bool
    nbytes: int


def collectives(program: str) -> list[Collective]:
    """The collectives of a compiled program, as text (`compiled.as_text()`), in its order."""
    lines = dict(_computations(program))
    called = {name: {c for line in body for c in _names(line)} for name, body in lines.items()}
    looped, reached = {m[1] for body in lines.values() for line in body if (m := _BODY.search(line))}, set()
    while looped:
        name = looped.pop()
        if name not in reached:
            reached.add(name)
            looped |= called.get(name, set())
    return [
        Collective(match[2], name in reached, max(map(_nbytes, _ARRAY.findall(match[1])), default=0))
        for name, body in lines.items()
        for line in body
        if (match := _COLLECTIVE.search(line))
    ]


def _computations(program: str) -> Iterator[tuple[str, list[str]]]:
    name, body = "", []
    for line in program.splitlines():
        if not line.startswith((" ", "}")) and (match := _COMPUTATION.match(line)):
            name, body = match[1], []
        elif line.startswith("}"):
            yield name, body
        else:
            body.append(line)


def _names(line: str) -> list[str]:
    return [name.strip(" %") for group in _CALLED.findall(line) for name in group.split(",")]


def _nbytes(array: tuple[str, str]) -> int:
    kind, shape = array
    bits = 8 if kind == "pred" else int(re.sub(r"\D", "", kind))
    return math.prod(int(n) for n in shape.split(",") if n) * bits // 8
