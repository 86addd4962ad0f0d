"""Every file in `configs/` resolves, traces at full size, and is what it was."""

import os
from pathlib import Path

import jax
import pytest
from flax import nnx
from samples import batch, pieces

from lexitok.config_files import format_config, load_config
from lexitok.models.build import model_maker

CONFIGS = Path(__file__).parents[1] / "configs"
GOLDENS = Path(__file__).parent / "goldens" / "configs"
VARIANTS = {
    "hat": ("cpu", "gpu1", "pod", "v1,cpu", "v1,gpu1", "v1,pod"),
    "subword": ("cpu", "gpu1", "pod"),
    "bytes": ("cpu", "gpu1", "pod"),
    "quickstart": ("hat", "subword", "hat,gpu1", "subword,gpu1", "hat,pod", "subword,pod"),
    "hat_8b": ("pod",),
}
ALL = [(name, variant) for name, variants in VARIANTS.items() for variant in variants]


def test_no_config_is_forgotten():
    """A new config file has to be listed here, so that it is tested."""
    assert {path.stem for path in CONFIGS.glob("*.py")} == set(VARIANTS)


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_config_traces_at_full_size(name, variant):
    """The model is made and computes nats, from shapes alone: a config cannot rot unnoticed."""
    config = load_config(f"{CONFIGS / name}.py:{variant}")
    V = config.text.vocabulary.size if config.text.kind == "subword" else 260
    kind = {"byte_units": "hat_v2", "bytes": "bytes", "subword": "bytes"}[config.text.kind]
    rows = batch(kind, pieces(kind, b"some words"), symbols=config.data.symbols, units=config.data.units)
    model = jax.eval_shape(lambda: model_maker(config, V)(nnx.Rngs(0)))
    scores = jax.eval_shape(lambda m: m.scores(rows, config.train.loss_chunk), model)
    assert scores.nll_BxS.shape == (1, config.data.symbols)


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_config_is_what_it_was(name, variant):
    """Every value that a change touches shows up in review. To accept: LEXITOK_WRITE_GOLDENS=1 pytest ..."""
    text = format_config(load_config(f"{CONFIGS / name}.py:{variant}"))
    golden = GOLDENS / f"{name}-{variant.replace(',', '-')}.txt"
    if os.environ.get("LEXITOK_WRITE_GOLDENS"):
        golden.write_text(text)
    assert golden.read_text() == text
