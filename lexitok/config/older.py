"""Configs of older runs: settings are where they are now, and one that came later gets its default.

The default is what was done before it came.
"""

from collections.abc import Mapping

from ml_collections import ConfigDict

from lexitok.config.sections import SECTIONS
from lexitok.config.tree import default_config

_MOVED = {"train.z_loss": "objective.z_loss", "train.loss_chunk": "objective.chunk"}
_RENAMED = {"table": {"rows": "table_rows"}, "stage": {"cross.slots": "cross.vectors"}}  # by kind of section


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
        _rename(out, _MOVED)
    _fill(out, defaults)
    _fill(out.text, defaults.text)  # its kinds have the same settings
    _fill_kinds(out)
    return out.lock()


def _rename(config: ConfigDict, new_names: Mapping[str, str]) -> None:
    """Settings under the dotted names that they have now; the sections of these are there already."""
    for old, new in new_names.items():
        section, key = _section(config, old)
        if key in section:
            into, name = _section(config, new)
            into[name] = section[key]
            delattr(section, key)


def _section(config: ConfigDict, dotted: str) -> tuple[ConfigDict, str]:
    """The section of a setting, an empty one where there is none, and the setting's name in it."""
    *sections, key = dotted.split(".")
    for name in sections:
        config = config.get(name, ConfigDict())
    return config, key


def _fill(section: ConfigDict, defaults: ConfigDict) -> None:
    for key, value in defaults.items():
        if key not in section:
            section[key] = value
        elif isinstance(value, ConfigDict) and isinstance(section[key], ConfigDict) and "kind" not in value:
            _fill(section[key], value)


def _fill_kinds(section: ConfigDict) -> None:
    kind = section.get("kind")
    _rename(section, _RENAMED.get(kind, {}))
    if kind in SECTIONS:
        _fill(section, SECTIONS[kind]())
    for value in section.values():
        if isinstance(value, ConfigDict):
            _fill_kinds(value)
