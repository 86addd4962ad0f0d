"""Ways to make rows of new tokens, by name. A new one is one file and a line here."""

import dataclasses
import re
from typing import Any

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.composition import ByLength, First, FrontLoaded, Last, Mean
from lexitok.transfer.methods.frequency import ByFrequency, ByRarity
from lexitok.transfer.methods.hybrid import Hybrid
from lexitok.transfer.methods.hypernetwork import Predictions
from lexitok.transfer.methods.low_rank import LowRank
from lexitok.transfer.methods.method import Made, Method, Problem
from lexitok.transfer.methods.moments import Gaussian
from lexitok.transfer.methods.neighbours import Neighbours, SourceNeighbours
from lexitok.transfer.methods.pursuit import Pursuit
from lexitok.transfer.methods.translated import Translated

METHODS: dict[str, Any] = {
    "mean": Mean,
    "first": First,
    "last": Last,
    "front_loaded": FrontLoaded,
    "by_length": ByLength,
    "by_frequency": ByFrequency,
    "by_rarity": ByRarity,
    "gaussian": Gaussian,
    "neighbours": Neighbours,
    "source_neighbours": SourceNeighbours,
    "low_rank": LowRank,
    "hybrid": Hybrid,
    "translated": Translated,
    "omp": Pursuit,
    "hypernetwork": Predictions,
}
DEFAULT = "by_length"  # the best of those that need nothing but the two tokenizers (LOG.md, 2026-11-30)
_SAID = re.compile(r"(\w+)(?:\((.*)\))?")

__all__ = ["DEFAULT", "METHODS", "Made", "Method", "Problem", "make_method", "name_of", "takes"]


def make_method(said: str, **given: Any) -> Method:
    """A method as one writes it: `mean`, `front_loaded(decay=0.3)`.

    Args:
      said: its name, with numbers or names in parentheses.
      **given: what cannot be written, as `vectors_VxA`, for methods that take it.

    Raises:
      TransferError: there is no such method, or it has no such setting.
    """
    name, written = _parsed(said)
    method = METHODS[name]
    fields = {field.name: field.type for field in dataclasses.fields(method)}
    settings = {name: value for name, value in given.items() if name in fields and value is not None}
    for setting in filter(None, written.split(",")):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or key not in fields:
            raise TransferError(f"method '{name}' has no setting '{setting.strip()}'; it has {', '.join(fields)}")
        settings[key] = _read(value, fields[key], f"{name}: {key}")
    needed = [field.name for field in dataclasses.fields(method) if field.default is dataclasses.MISSING]
    missing = [field for field in needed if field not in settings]
    if missing:
        raise TransferError(f"method '{name}' needs {', '.join(missing)}")
    return method(**settings)


def takes(said: str) -> set[str]:
    """What a method that is written so can be given, and can be set.

    Raises:
      TransferError: there is no such method.
    """
    return {field.name for field in dataclasses.fields(METHODS[_parsed(said)[0]])}


def _parsed(said: str) -> tuple[str, str]:
    parsed = _SAID.fullmatch(said.strip())
    if parsed is None or parsed[1] not in METHODS:
        raise TransferError(f"unknown method '{said}'; there are {', '.join(METHODS)}")
    return parsed[1], parsed[2] or ""


def _read(value: str, kind: Any, what: str) -> Any:
    kind = {float: float, int: int, str: str, "float": float, "int": int, "str": str}.get(kind)
    try:
        assert kind is not None
        return kind(value)
    except (ValueError, AssertionError):
        raise TransferError(f"{what} cannot be '{value}'") from None


def name_of(method: Method) -> str:
    """How a method is written: its name, and the settings that are numbers or names."""
    name = next((name for name, kind in METHODS.items() if kind is type(method)), type(method).__name__)
    fields = dataclasses.fields(method) if dataclasses.is_dataclass(method) else ()
    settings = [f"{f.name}={value}" for f in fields if isinstance(value := getattr(method, f.name), int | float | str)]
    return f"{name}({', '.join(settings)})" if settings else name
