"""A checkpoint outlives the version that wrote it: what its config does not say is what was done without a choice."""

import operator

import pytest
from ml_collections import ConfigDict
from samples import CONFIGS

from lexitok.config.files import diff, flatten, from_json, load_config, to_json
from lexitok.config.older import completed

LATER = (
    "model.stage.backbone.attention_bias",
    "model.stage.backbone.residual",
    "model.stage.encoder.rope_fraction",
    "model.stage.unpool_weights",
    "model.interface.table_rows",
    "train.start",
    "optimizer.frozen",
)


def without(config: ConfigDict, *keys: str) -> ConfigDict:
    """As a version would have written it that knew nothing of these settings."""
    out = from_json(to_json(config)).unlock()
    for key in keys:
        *sections, last = key.split(".")
        section = out
        for part in sections:
            section = section[part]
        del section[last]
    return out.lock()


@pytest.mark.parametrize("name", ["hat_v2", "hnet", "blt", "subword", "interfaces"])
def test_what_is_complete_stays_as_it_is(name):
    """Also values that are not the defaults, and the kinds of sections."""
    config = load_config(f"{CONFIGS}/{name}.py")
    assert diff(config, completed(config)) == {}
    assert list(flatten(completed(config))) == list(flatten(config))


def test_settings_that_came_later_get_their_defaults():
    """In sections of every kind, nested ones among them; the config that is given is not changed."""
    config = load_config(f"{CONFIGS}/hat_v2.py")
    older = without(config, *LATER)
    assert diff(config, completed(older)) == {}
    assert "frozen" not in older.optimizer


def test_a_section_gets_the_defaults_of_its_own_kind():
    """A token model has no stage, and a binary interface no rows of a table."""
    config = load_config(f"{CONFIGS}/interfaces.py:binary")
    found = completed(without(config, "model.interface.lift", "model.backbone.residual"))
    assert diff(config, found) == {} and "stage" not in found.model and "rows" not in found.model.interface


@pytest.mark.parametrize(
    ("name", "section", "old", "new"),
    [
        ("bolmo", "model.interface", "rows", "table_rows"),
        ("blt:1b", "model.stage.cross", "slots", "vectors"),
        ("blt", "model.stage.router.lm.interface", "rows", "table_rows"),
    ],
)
def test_settings_that_were_renamed_keep_their_values(name, section, old, new):
    """Also in nested sections: another value would be another model."""
    path, _, variant = name.partition(":")
    config = load_config(f"{CONFIGS}/{path}.py:{variant}")
    older = without(config, f"{section}.{new}")
    with older.unlocked():
        operator.attrgetter(section)(older)[old] = operator.attrgetter(f"{section}.{new}")(config)
    assert diff(config, completed(older)) == {}
