"""Sections that say their `kind`, and their defaults by it."""

from collections.abc import Callable, Iterator
from typing import Any

from ml_collections import ConfigDict

MakeSection = Callable[..., ConfigDict]
SECTIONS: dict[str, MakeSection] = {}


def section(kind: str) -> Callable[[MakeSection], MakeSection]:
    """Decorates the function that makes a section of this kind; called without arguments, it gives the defaults.

    Where a kind gets a setting more, configs of older runs get its default (`lexitok.config.older`).
    """

    def register(make: MakeSection) -> MakeSection:
        SECTIONS[kind] = make
        return make

    return register


def named(config: ConfigDict, name: str, path: str = "") -> Iterator[tuple[str, ConfigDict]]:
    """The sections of this name in a section, outer ones first, each with its dotted path from there."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            here = f"{path}.{key}" if path else key
            if key == name:
                yield here, value
            yield from named(value, name, here)


def with_changes(c: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """The section, locked, with some settings changed; one that there is not is refused."""
    c.lock()
    for name, value in changes.items():
        c[name] = value
    return c
