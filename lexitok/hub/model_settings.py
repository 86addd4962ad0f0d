"""What a token model is, read off the model itself: its config may be of what it was before a part was exchanged."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict

from lexitok.config import table, token_lm
from lexitok.config.files import diff
from lexitok.hub.description import abstract_model
from lexitok.hub.stored_tensors import HubError
from lexitok.interfaces.table import Table
from lexitok.models.token_lm import TokenLM
from lexitok.parameter_names import names, to_dicts

_NAMED = 3  # differences that an error names
_HOW = ("remat", "attention")  # settings that say how and not what is computed


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """A token model as its settings.

    Attributes:
      model: the `config.token_lm` section that makes just such a model.
      V: symbols of its softmax.
    """

    model: ConfigDict
    V: int


def settings_of(model: Any, config: ConfigDict) -> ModelSettings:
    """The settings of a model as it is, whatever its config says.

    Tied or not, the symbols, the caps and the scales are the interface's, the backbone's settings its own.

    Args:
      model: a `TokenLM` with a learned table.
      config: the whole tree; only how the model is computed is taken from it.

    Raises:
      HubError: it is another model, has another interface, or a part that its settings do not make: names it.
    """
    if not isinstance(model, TokenLM) or not isinstance(model.interface, Table):
        what = f"{type(model).__name__} with {type(getattr(model, 'interface', None)).__name__}"
        raise HubError(f"only a TokenLM with a learned Table can be written in this layout, not a {what}")
    section, interface = token_lm(), model.interface
    V, rows = interface.vocabulary_size, interface.table.shape[0]
    section.compute_dtype = config.model.get("compute_dtype", "auto")
    section.interface = table(
        tied="yes" if interface.head is None else "no",
        softcap=float(interface.softcap),
        embed_scale=float(interface.embed_scale),
        table_rows=0 if rows == V else rows,
    )
    section.backbone = ConfigDict(FrozenConfigDict(model.backbone.c).as_configdict())
    like = abstract_model(section, V, "the model's settings")
    _check_parameters(model, like)
    _check_settings(model, like)
    return ModelSettings(section, V)


def _check_parameters(model: TokenLM, like: TokenLM) -> None:
    found = {name: tuple(x.shape) for name, x in names(to_dicts(model)).items()}
    wanted = {name: tuple(x.shape) for name, x in names(to_dicts(like)).items()}
    differing = [
        f"'{name}' is {found.get(name, 'not there')}, and {wanted.get(name, 'not there')} by the settings"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    _refuse("has other parameters than its own settings make", differing)


def _check_settings(model: TokenLM, like: TokenLM) -> None:
    differing = [
        f"{name} is {found}, and {wanted} by the settings"
        for name, found, wanted in _differences(model, like, "")
        if name != "dtype"
    ]
    _refuse("has a part that its own settings do not make", differing)


def _differences(a: Any, b: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """What differs between two modules beside their parameters: kinds of parts, and settings; by dotted name."""
    if isinstance(a, nnx.Variable | jax.Array) or isinstance(b, nnx.Variable | jax.ShapeDtypeStruct):
        return
    if isinstance(a, ConfigDict) and isinstance(b, ConfigDict):
        yield from ((f"{name}.{key}", *both) for key, both in diff(a, b).items() if key not in _HOW)
        return
    if type(a) is not type(b):
        yield name, _kind(a), _kind(b)
        return
    if isinstance(a, nnx.Module):
        ours, theirs = _attributes(a), _attributes(b)
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _differences(ours.get(key), theirs.get(key), f"{name}.{key}" if name else key)
    elif a != b:
        yield name, a, b


def _attributes(module: nnx.Module) -> Mapping[str, Any]:
    return {key: value for key, value in vars(module).items() if not key.startswith("_")}


def _kind(part: Any) -> Any:
    return type(part).__name__ if isinstance(part, nnx.Module) else part


def _refuse(what: str, differing: Sequence[str]) -> None:
    if differing:
        more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        raise HubError(f"the model {what}, and cannot be written: {'; '.join(differing[:_NAMED])}{more}")
