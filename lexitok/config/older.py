"""Configs of older runs: a setting that came later gets its default, which is what was done before it came."""

from collections.abc import Callable

from ml_collections import ConfigDict

from lexitok.config import tree as C

_SECTIONS: dict[str, Callable[[], ConfigDict]] = {
    "token_lm": C.token_lm,
    "byte_unit_lm": C.byte_unit_lm,
    "stage": C.stage,
    "transformer": C.transformer,
    "table": C.table,
    "binary": C.binary,
    "glyphs": C.glyphs,
    "lexinvariant": C.lexinvariant,
    "semi_lexinvariant": C.semi_lexinvariant,
    "cosine": C.cosine_router,
    "stride": C.stride_router,
    "distilled": C.distilled_router,
    "entropy": C.entropy_router,
}


def completed(config: ConfigDict) -> ConfigDict:
    """A copy of a run's config with every setting that there is now, locked.

    Sections that say their `kind` get the defaults of that kind.

    Args:
      config: the whole tree, as an older version wrote it.
    """
    out = config.copy_and_resolve_references().unlock()
    defaults = C.default_config().unlock()
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
    make = _SECTIONS.get(section.get("kind"))
    if make is not None:
        _fill(section, make())
    for value in section.values():
        if isinstance(value, ConfigDict):
            _fill_kinds(value)
