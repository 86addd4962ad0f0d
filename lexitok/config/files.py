"""Config files: loading one with its variant, overriding fields by name, comparing trees, writing them down.

A config file defines `get_config(arg)`, which changes the default tree and hands `arg` to `variant`. Every mistake of
a user (a key that does not exist, a value of the wrong type, an unknown variant) is a `ConfigError` of one line.
"""

import ast
import difflib
import importlib.util
import inspect
import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict


class ConfigError(ValueError):
    """A config that cannot be loaded or changed as asked; the message names the file or key and what there is."""


def load_config(spec: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """Loads `path.py` or `path.py:variant` and applies overrides such as `optimizer.lr=1e-3`.

    Returns:
      The tree, locked: keys cannot be added to it.

    Raises:
      ConfigError: no such file, an error in it, no such variant, or an override that does not fit.
    """
    path, arg = _split_spec(spec)
    module = load_module(path)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise ConfigError(f"{path} defines no function get_config(arg)")
    if arg and not inspect.signature(get_config).parameters:
        raise ConfigError(f"{path} has no variants (its get_config takes no argument), '{arg}' was asked for")
    with _errors_of(path):
        config = get_config(arg) if inspect.signature(get_config).parameters else get_config()
    if not isinstance(config, ConfigDict):
        raise ConfigError(f"get_config of {path} returned {type(config).__name__}, not a ConfigDict")
    config.lock()
    override(config, overrides)
    return config


Change = Callable[[ConfigDict], Any]


def variant(config: ConfigDict, arg: str | None, *groups: Mapping[str, Change], **variants: Change) -> ConfigDict:
    """Applies the variants named in `arg` to `config`; an empty `arg` leaves it as it is.

    Args:
      config: the tree, changed in place.
      arg: what stood after the colon of `path.py:arg`: names joined by commas.
      *groups, **variants: by name, a function that changes the tree, or returns another. Those of a group come before
        those of the next, whatever the order in which they are named: a size, which makes all stacks anew, before what
        is made of these. Within a group they are applied as they are named.

    Raises:
      ConfigError: there is no variant of that name; lists those that exist.
    """
    every = {name: change for group in (*groups, variants) for name, change in group.items()}
    named = [name for name in (arg or "").split(",") if name]
    for name in named:
        if name not in every:
            raise ConfigError(f"unknown variant '{name}'{_closest(name, every)}; there are: {', '.join(every)}")
    for group in (*groups, variants):
        for name in [name for name in named if name in group]:
            changed = group[name](config)
            config = changed if isinstance(changed, ConfigDict) else config
    return config


def override(config: ConfigDict, assignments: Iterable[str]) -> None:
    """Sets fields in place from `dotted.key=value`, each value read by the type of the one it replaces.

    Tuples are written `(1,2)` or `a,b`. Fields that are computed from others follow them.

    Raises:
      ConfigError: a key that does not exist (lists those that do), or a value of the wrong type.
    """
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(f"override '{assignment}' has no value: write {assignment}=VALUE")
        section, name = _find(config, key)
        old = section[name]
        if isinstance(old, ConfigDict):
            raise ConfigError(f"config key '{key}' is a section, not a value; its keys: {_keys(old)}")
        with section.unlocked(), section.ignore_type():  # the type is checked here, where the key's full name is known
            section[name] = _parse(key, text, old)


def flatten(config: ConfigDict) -> dict[str, Any]:
    """Every value by its dotted key, in the order of the tree."""
    return dict(_items(config, ""))


def diff(a: ConfigDict, b: ConfigDict) -> dict[str, tuple[Any, Any]]:
    """The dotted keys whose values differ, with both values; None stands for a key that one of them lacks."""
    flat_a, flat_b = flatten(a), flatten(b)
    keys = dict.fromkeys([*flat_a, *flat_b])
    missing = object()
    differing = [k for k in keys if not _same(flat_a.get(k, missing), flat_b.get(k, missing))]
    return {k: (flat_a.get(k), flat_b.get(k)) for k in differing}


def format_config(config: ConfigDict) -> str:
    """One `key: value` a line, sorted by key: for logs, and for dumps that show every change of a config as a diff."""
    return "".join(f"{key}: {value!r}\n" for key, value in sorted(flatten(config).items()))


def to_json(config: ConfigDict) -> str:
    """The tree as JSON; tuples become lists, and tuples again in `from_json`.

    Raises:
      ConfigError: a value that JSON cannot hold; names its key.
    """
    for key, value in flatten(config).items():
        if not _storable(value):
            raise ConfigError(f"config key '{key}' holds a {type(value).__name__}; use numbers, text, names and tuples")
    return json.dumps(config.to_dict(), indent=1)


def from_json(text: str) -> ConfigDict:
    """The locked tree that `to_json` wrote."""
    return ConfigDict(_with_tuples(json.loads(text))).lock()


def _split_spec(spec: str) -> tuple[Path, str]:
    head, separator, arg = spec.partition(".py:")
    return (Path(head + ".py"), arg) if separator else (Path(spec), "")


def load_module(path: Path) -> ModuleType:
    """The config file as a module.

    Raises:
      ConfigError: there is no such file, or it fails; names the line.
    """
    if not path.is_file():
        there = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        listing = f"; in {path.parent} there are: {', '.join(there)}" if there else ""
        raise ConfigError(f"no config file {path}{_closest(path.name, there)}{listing}")
    spec = importlib.util.spec_from_file_location(f"lexitok_config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    with _errors_of(path):
        spec.loader.exec_module(module)
    return module


class _errors_of:
    """Turns whatever goes wrong in the config file `path` into a `ConfigError` that names file and line."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{self.path}: {error}") from None
        if isinstance(error, Exception):
            lines = [f.lineno for f in traceback.extract_tb(trace) if f.filename == str(self.path)]
            line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
            message = " ".join(str(error).strip("\"'").replace("\\n", " ").split())
            where = self.path if line is None else f"{self.path}:{line}"
            raise ConfigError(f"{where}: {type(error).__name__}: {message}") from error


def _find(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
    """The section that holds `key`, and the last part of the key."""
    section, parts = config, key.split(".")
    for i, part in enumerate(parts):
        if part not in section:
            raise ConfigError(f"unknown config key '{key}': {_unknown(section, parts, i)}")
        if i + 1 < len(parts):
            value = section[part]
            if not isinstance(value, ConfigDict):
                raise ConfigError(f"unknown config key '{key}': {'.'.join(parts[: i + 1])} is a value ({value!r})")
            section = value
    return section, parts[-1]


def _unknown(section: ConfigDict, parts: list[str], i: int) -> str:
    level = ".".join(parts[:i])
    hint = _closest(parts[i], section)
    return f"no '{parts[i]}' in {level or 'the config'}{hint}; its keys: {_keys(section)}"


def _keys(section: ConfigDict) -> str:
    return ", ".join(f"{k}.*" if isinstance(section[k], ConfigDict) else k for k in section)


def _closest(word: str, words: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(words), 1, 0.5)
    return f" (did you mean '{found[0]}'?)" if found else ""


def _parse(key: str, text: str, old: Any) -> Any:
    try:
        return _PARSERS.get(type(old), _literal)(text, old)
    except ValueError:
        kind = {bool: "true or false", int: "a whole number", float: "a number", tuple: "a tuple like it"}
        wanted = kind.get(type(old), f"of type {type(old).__name__}")
        raise ConfigError(f"config key '{key}': '{text}' is not {wanted}; it was {old!r}") from None


def _bool(text: str, _: Any) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _int(text: str, _: Any) -> int:
    try:
        return int(text)
    except ValueError:
        number = float(text)  # `1e6` is a whole number too
        if not number.is_integer():
            raise ValueError(text) from None
        return int(number)


def _tuple(text: str, old: tuple) -> tuple:
    body = text.strip()
    if body[:1] in "([" and body[-1:] in ")]":
        body = body[1:-1]
    values = tuple(_literal(part.strip(), None) for part in body.split(",") if part.strip())
    kinds = {type(v) for v in old}
    if len(kinds) != 1:
        return values
    kind = kinds.pop()
    if kind is float:
        return tuple(_PARSERS[float](str(v), None) for v in values)
    if any(type(v) is not kind for v in values):
        raise ValueError(text)
    return values


def _literal(text: str, _: Any) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


_PARSERS: Mapping[type, Callable[[str, Any], Any]] = {
    bool: _bool,
    int: _int,
    float: lambda text, _: float(text),
    str: lambda text, _: text,
    tuple: _tuple,
}


def _items(config: ConfigDict, prefix: str) -> Iterator[tuple[str, Any]]:
    for key in config:
        value = config[key]
        if isinstance(value, ConfigDict) and len(value):
            yield from _items(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def _storable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_storable(v) for v in value)
    return value is None or isinstance(value, (bool, int, float, str, ConfigDict))


def _with_tuples(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _with_tuples(v) for k, v in tree.items()}
    return tuple(_with_tuples(v) for v in tree) if isinstance(tree, list) else tree
