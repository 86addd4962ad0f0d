"""A HAT around a pretrained backbone."""

import operator
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from samples import small_config

from lexitok.analysis.hat_conversion import to_hat
from lexitok.config import token_lm
from lexitok.hub import HubError, load
from lexitok.inference.generate import generate
from lexitok.parameter_names import names, to_dicts
from lexitok.runs.load import load_model
from lexitok.training.setup import make_setup

QWEN = Path(__file__).parents[1] / "hub/goldens/qwen3"


def hat() -> ConfigDict:
    """A small HAT whose backbone is described as the checkpoint's."""
    c = small_config("hat_v2")
    c.model.stage.backbone = load(QWEN).config.model.backbone
    c.data.rows = 8
    return c


@pytest.mark.slow
def test_blocks_are_the_pretrained_ones_and_the_rest_is_new(tmp_path):
    """A run is written that training starts from, with the rest as a fresh run would have it."""
    c = hat()
    to_hat(QWEN, tmp_path / "hat", c)
    model, encoder = load_model(tmp_path / "hat")
    assert generate(model, encoder, [b"ab "], max_bytes=3, temperature=0.0)
    found, fresh = names(to_dicts(model)), names(jax.device_get(to_dicts(make_setup(c).init_state().model)))
    pretrained = names(to_dicts(load(QWEN).model.backbone), "stage.backbone.")
    assert pretrained.keys() < found.keys()
    for name, x in found.items():
        np.testing.assert_array_equal(x, pretrained.get(name, fresh[name]), err_msg=name)
    c.train.start.run = str(tmp_path / "hat")
    for name, x in names(jax.device_get(to_dicts(make_setup(c).init_state().model))).items():
        np.testing.assert_array_equal(x, found[name], err_msg=name)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.stage.backbone.rope_base", 5.0, "rope_base is 5.0 in the config and 10000.0 in the checkpoint"),
        ("model.stage.backbone.L", 3, "L is 3 in the config and 2 in the checkpoint"),
        ("model", token_lm(), "'token_lm' has no backbone between"),
    ],
)
def test_another_backbone_than_the_config_says(tmp_path, key, value, message):
    """The same shapes with other rotary angles would train, and nobody would know."""
    c = hat()
    section, _, name = key.rpartition(".")
    with c.ignore_type():
        (operator.attrgetter(section)(c) if section else c)[name] = value
    with pytest.raises(HubError, match=message):
        to_hat(QWEN, tmp_path / "hat", c)
    assert not (tmp_path / "hat").exists()


def test_nothing_is_overwritten(tmp_path):
    """What lies there may be days of training."""
    with pytest.raises(HubError, match="there is something at"):
        to_hat(QWEN, tmp_path, hat())
