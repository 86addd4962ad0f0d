"""Bolmo (arXiv 2512.15586): units are a tokenizer's tokens, and each predicted symbol says whether one ends with it.

    python experiments/train.py --config=configs/bolmo.py:cpu --workdir=runs/bolmo

Variants, joined by commas: what local stacks are made of, `mlstm` (the default, as published) or `attention`; and the
sizes `cpu` (the default), `gpu1`, `pod` (config/sizes.py), and the published `1b` (1,468,911,776 parameters, on OLMo 2
1B) and `7b` (7,633,084,576, "7.63B", on OLMo 3 7B), with 100,278 tokens: widths and depths of table 7 of the paper, of
the code of allenai/bolmo-core, and of the OLMo models, checked by the counts (`tests/models/test_sizes.py`).

This is the architecture, trained on text from the start: the model reads the tokenizer's boundaries, predicts them with
the bytes, and learns to find them in a prompt (weight 4). The published models start from a trained subword model and
learn from it; that is distillation between tokenizers, a later room. Their tokenizer is replaced by one that is trained
on the run's text, or that `text.vocabulary.path` names.
"""

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, distilled_router, mlstm, scoped, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, local, sized, units_per_symbol


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "bolmo"
    c.text.splitter, c.text.boundary = "tokens", "fused"
    c.data.units = 320
    c.model = byte_unit_lm()
    c.model.interface.table_rows, c.model.embedding.adds = 260, "suffix_token"
    s = c.model.stage
    s.router = distilled_router()
    s.pool, s.widen = "last", "project_bias"
    s.unpool, s.narrow, s.first = "latest", "project", "zeros"
    _shape(c, "cpu")
    sizes = {**sized(_shape, units_per_symbol(5 / 16)), "1b": _1b, "7b": _7b}
    return variant(c, arg, sizes, {"mlstm": lambda c: None, "attention": _attention})


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size)
    like = local(size)
    shape = {"D": like.D, "H": like.H, "N": like.N, "F": like.F, "remat": like.remat, "final_norm": "rms"}
    s.encoder, s.decoder = scoped(mlstm(L=1, **shape)), scoped(mlstm(L=2 * like.L, **shape))


def _attention(c: ConfigDict) -> None:
    s = c.model.stage
    for name in ("encoder", "decoder"):
        old = s[name]
        like = {letter: old[letter] for letter in "DLHNF"} | {"K": old.H, "remat": old.remat, "final_norm": "rms"}
        s[name] = local("cpu", **like)


def _published(c: ConfigDict, D: int, layers: int, F: int, local_F: int, **changes) -> None:
    s = c.model.stage
    s.backbone = transformer(
        D=D, L=layers, H=D // 128, K=D // 128, N=128, F=F, pre_norms="none", post_norms="rms", qk_norm="rms_all",
        rope_base=500_000.0, **changes,
    )  # fmt: skip
    shape = {"D": D, "H": 16, "N": D // 16, "F": local_F, "final_norm": "rms"}
    s.encoder, s.decoder = scoped(mlstm(L=1, **shape)), scoped(mlstm(L=4, **shape))
    s.narrow = "first"  # all stacks have one width
    c.model.interface.table_rows = 0  # a row for each of the 520 symbols, of which half are never read
    at_published_size(c, symbols=24576, units=4096, rows=64)


def _1b(c: ConfigDict) -> None:
    _published(c, D=2048, layers=16, F=8192, local_F=2816)


def _7b(c: ConfigDict) -> None:
    kinds = ("local", "local", "local", "global")
    _published(c, D=4096, layers=32, F=11008, local_F=5504, layer_kinds=kinds, window=4096, rope_base_local=500_000.0)
