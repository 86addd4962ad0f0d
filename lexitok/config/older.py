"""Configs of older runs: a setting that came later gets its default, which is what was done before it came."""

from ml_collections import ConfigDict

from lexitok.config.sections import SECTIONS
from lexitok.config.tree import default_config


def completed(config: ConfigDict) -> ConfigDict:
    """A copy of a run's config with every setting that there is now, locked.

    Sections that say their `kind` get the defaults of that kind.

    Args:
      config: the whole tree, as an older version wrote it.
    """
    out = config.copy_and_resolve_references().unlock()
    defaults = default_config().unlock()
    del defaults["model"]  # there is none for all models
    if "objective" not in out:
        out.objective = defaults.objective
        _move(out)
    _fill(out, defaults)
    _fill_kinds(out)
    return out.lock()


_MOVED = {"train.z_loss": "objective.z_loss", "train.loss_chunk": "objective.chunk"}


def _move(config: ConfigDict) -> None:
    """Settings that have another place now go there."""
    for old, new in _MOVED.items():
        section, key = old.split(".")
        if key in config.get(section, {}):
            to, name = new.split(".")
            config[to][name] = config[section][key]
            del config[section][key]


def _fill(section: ConfigDict, defaults: ConfigDict) -> None:
    for key, value in defaults.items():
        if key not in section:
            section[key] = value
        elif isinstance(value, ConfigDict) and isinstance(section[key], ConfigDict) and "kind" not in value:
            _fill(section[key], value)


def _fill_kinds(section: ConfigDict) -> None:
    make = SECTIONS.get(section.get("kind"))
    if make is not None:
        _fill(section, make())
    for value in section.values():
        if isinstance(value, ConfigDict):
            _fill_kinds(value)
