"""Rotary positions as `config.json` describes them: `rope_theta` and `rope_scaling`, or `rope_parameters` of late."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from lexitok.hub.config_json import ConfigJson
from lexitok.hub.stored_tensors import HubError

KINDS = ("default", "linear", "llama3")
_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_SAID_ELSEWHERE = {"rope_theta", "type", "rope_type", "partial_rotary_factor"}


@dataclasses.dataclass(frozen=True)
class Rotary:
    """`rope_base`, `rope_scale` and `rope_llama3` of a `lexitok.config.transformer` section."""

    base: float
    scale: float = 1.0
    llama3: tuple[float, ...] = ()


def read_rotary(keys: ConfigJson, theta: float) -> Rotary:
    """Rotary positions that all layers share.

    Args:
      keys: of `config.json`.
      theta: the family's base where none is given.

    Raises:
      HubError: a kind of scaling that lexitok has not.
    """
    given = mapping(keys, "rope_parameters")
    if any(isinstance(value, Mapping) for value in given.values()):
        raise HubError(f"{keys.source}: 'rope_parameters' differ by the kind of layer, which this family's do not here")
    if not given:
        given = {"rope_theta": keys.get("rope_theta", theta), **mapping(keys, "rope_scaling")}
    return rotary_of(keys, given, theta)


def mapping(keys: ConfigJson, key: str) -> dict[str, Any]:
    """A section of the file; empty if it is missing."""
    value = keys.get(key, {})
    if not isinstance(value, Mapping):
        keys.refuse(key, value, "an object")
    return dict(value)


def rotary_of(keys: ConfigJson, given: Mapping[str, Any], theta: float) -> Rotary:
    """From a section of `rope_parameters`, or of `rope_scaling` with `rope_theta` put to it."""
    kind = given.get("rope_type", given.get("type", "default"))
    if kind not in KINDS:
        raise HubError(f"{keys.source}: rotary positions are scaled by '{kind}'; lexitok has {', '.join(KINDS)}")
    known = _SAID_ELSEWHERE | {"default": set(), "linear": {"factor"}, "llama3": set(_LLAMA3)}[kind]
    unknown = {k for k, v in given.items() if k not in known and v is not None}
    if unknown and kind != "default":
        raise HubError(f"{keys.source}: rotary scaling '{kind}' has the unknown keys {', '.join(sorted(unknown))}")
    base = _number(keys, "rope_theta", given.get("rope_theta") or theta)
    if given.get("partial_rotary_factor", 1.0) not in (None, 1, 1.0):
        raise HubError(f"{keys.source}: 'partial_rotary_factor' is not 1; only GPT-NeoX rotates a part of a head here")
    if kind == "linear":
        return Rotary(base, _number(keys, "factor", given.get("factor")))
    if kind == "llama3":
        context = given.get(_LLAMA3[3]) or keys.get("max_position_embeddings")
        named = {**{name: given.get(name) for name in _LLAMA3}, _LLAMA3[3]: context}
        return Rotary(base, 1.0, tuple(_number(keys, name, value) for name, value in named.items()))
    return Rotary(base)


def rotary_keys(rotary: Rotary) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling`, which every version of `transformers` reads."""
    return {"rope_theta": rotary.base, "rope_scaling": scaling_of(rotary)}


def scaling_of(rotary: Rotary) -> dict[str, Any] | None:
    """The object `rope_scaling`."""
    if rotary.llama3:
        *factors, context = rotary.llama3
        return {"rope_type": "llama3", **dict(zip(_LLAMA3, factors, strict=False)), _LLAMA3[3]: int(context)}
    return None if rotary.scale == 1.0 else {"rope_type": "linear", "factor": rotary.scale}


def _number(keys: ConfigJson, name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise HubError(f"{keys.source}: '{name}' of rotary positions is {value!r:.100}; it has to be a number above 0")
    return float(value)
