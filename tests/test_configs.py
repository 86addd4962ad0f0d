"""Every file in `configs/` resolves, traces at full size, and is what it was."""

import os
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from programs import large_constants
from samples import Pairs

from lexitok.config.files import format_config, load_config
from lexitok.data.batch import Batch
from lexitok.data.encoders import make_encoder, needs_tokenizer
from lexitok.data.layout import make_piece
from lexitok.data.rows import pack_rows
from lexitok.models.build import model_for

CONFIGS = Path(__file__).parents[1] / "configs"
GOLDENS = Path(__file__).parent / "goldens" / "configs"
SIZED = re.compile(r"pod|gpu1|1e19|793m|paper|stage|\d+b$")  # a structure that is traced at another size
SIZES = ("tiny", "cpu", "gpu1", "pod")
VARIANTS = {
    "subword": SIZES,
    "bytes": SIZES,
    "quickstart": ("hat", "subword", "hat,gpu1", "subword,gpu1", "hat,pod", "subword,pod"),
    "hat_v1": (*SIZES, "1b", "3b", "7b"),
    "hat_v2": (*SIZES, "8b", "end_symbol,cpu", "fused,cpu", "revealed,cpu", "fused,8b"),
    "learn_your_tokens": (*SIZES, "paper"),
    "spacebyte": (*SIZES, "1e19", "793m"),
    "blt": (*SIZES, "1b", "7b", "space,cpu", "space,1b"),
    "entropy_lm": ("cpu", "published"),
    "aunet": (*SIZES, "2l_1b", "3l_1b", "three,cpu", "three,gpu1"),
    "hnet": (
        *SIZES,
        "1stage_l",
        "2stage_l",
        "1stage_xl",
        "2stage_xl",
        "two,cpu",
        "attention,cpu",
        "two,attention,gpu1",
    ),
    "bolmo": (*SIZES, "1b", "7b", "attention,cpu", "attention,gpu1"),
    "interfaces": (
        *(f"{arm},bytes" for arm in ("learned", "binary", "affine", "glyphs", "lexinvariant", "semi_lexinvariant")),
        "glyphs_told_apart,subword",
        "lexinvariant,subword,gpu1",
    ),
    "continued": (),  # its variants are of runs: tests/training/test_token_distillation.py
    "distill": (),  # of a teacher's run: tests/training/test_distillation.py
    "hat_pretrained": ("frozen", "joint", "joint,gpu1"),
    "hypernetwork": ("tiny", "small", "gemma3_270m", "imitation,small", "published,small", "alm,small"),
    "markov": ("",),
    "small_base": ("seed0",),
    "family": ("hat_v2,english", "subword,khmer"),
}
ALL = [(name, variant) for name, variants in VARIANTS.items() for variant in variants]
# Sizes that are traced nowhere else; `tiny` and `gpu1` are `cpu` with other numbers.
TRACED = [(name, variant) for name, variant in ALL if variant not in ("tiny", "gpu1")]


def test_no_config_is_forgotten():
    """A new config file has to be listed here, so that it is tested."""
    assert {path.stem for path in CONFIGS.glob("*.py")} == set(VARIANTS)


def one_row(config, encoder) -> Batch:
    """A few words in a row of a config's size."""
    document = encoder.encode(b"some words")
    units = None if encoder.boundary == "none" else config.data.units
    pad = encoder.vocabulary.pad
    return pack_rows([[make_piece(document, 0, len(document))]], symbols=config.data.symbols, units=units, pad=pad)


@pytest.mark.parametrize(
    ("name", "variant"),
    [pytest.param(*each, marks=pytest.mark.slow if SIZED.search(each[1]) else ()) for each in TRACED],
)
def test_config_traces_at_full_size(name, variant):
    """The model is made and computes nats, from shapes alone: a config cannot rot unnoticed.

    Nor does the program hold a table: every compiled program would have a copy of it.
    """
    config = load_config(f"{CONFIGS / name}.py:{variant}")
    encoder = make_encoder(config.text, Pairs() if needs_tokenizer(config.text) else None)
    rows = jax.tree.map(np.asarray, one_row(config, encoder))
    model = jax.eval_shape(lambda: model_for(config, encoder)(nnx.Rngs(0)))
    program, (scores, extras) = jax.make_jaxpr(lambda m, rows: m.read_out(rows), return_shape=True)(model, rows)
    assert not large_constants(program, 1024)
    assert scores.nll_BxS.shape == (1, config.data.symbols)
    assert extras.loss.shape == () and all(x.shape == () for x in extras.sums.values())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("hnet:two,gpu1", "hnet:gpu1,two"),
        ("aunet:three,cpu", "aunet:cpu,three"),
        ("blt:space,1b", "blt:1b,space"),
        ("bolmo:attention,pod", "bolmo:pod,attention"),
        ("hat_v2:fused,8b", "hat_v2:8b,fused"),
    ],
)
def test_variants_may_come_in_any_order(first, second):
    """A size must not undo what a structure's name has changed, nor the other way round."""
    texts = []
    for spec in (first, second):
        name, _, variant = spec.partition(":")
        config = load_config(f"{CONFIGS / name}.py:{variant}")
        config.name = ""
        texts.append(format_config(config))
    assert texts[0] == texts[1]
    name, _, variant = first.partition(":")
    size = load_config(f"{CONFIGS / name}.py:{variant.split(',')[1]}")
    size.name = ""
    assert format_config(size) != texts[0]


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_config_is_what_it_was(name, variant):
    """Every value that a change touches shows up in review. To accept: LEXITOK_WRITE_GOLDENS=1 pytest ..."""
    text = format_config(load_config(f"{CONFIGS / name}.py:{variant}"))
    golden = GOLDENS / f"{name}-{variant.replace(',', '-')}.txt"
    if os.environ.get("LEXITOK_WRITE_GOLDENS"):
        golden.write_text(text)
    assert golden.read_text() == text


def test_no_golden_is_left_over():
    """A golden whose config is gone would be read as if it were there."""
    assert {path.name for path in GOLDENS.iterdir()} == {f"{n}-{v.replace(',', '-')}.txt" for n, v in ALL}
