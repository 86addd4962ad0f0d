"""AU-Net (arXiv 2506.14761): bytes, words, and pairs of words, each pooled at its last position, with skip connections.

    python experiments/train.py --config=configs/aunet.py:cpu --workdir=runs/aunet

Variants, joined by commas: `two` levels (the default) or `three`; and the sizes `cpu` (the default), `gpu1`, `pod`
(config/sizes.py), and the published `2l_1b` (1.3B parameters) and `3l_1b` (2.5B): widths, depths and windows of tables
9 to 11 of the paper and of apps/aunet in facebookresearch/lingua, checked by the parameter counts
(`tests/models/test_sizes.py`). Clipping at 0.2, weight decay 0.1.

Words are those of the expression in the paper's appendix B; the released configs cut behind the white space of a word
instead. The third level takes two units of the second each, counted from the start of the text; the published one
starts anew at numbers, punctuation and line ends. Here units for which a row has no room are not passed over.
"""

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, scoped, stage, stride_router, transformer
from lexitok.config import local as stack
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, local, sized


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "aunet"
    c.text.boundary = "revealed"
    c.text.splitter = "aunet_words"
    c.model = byte_unit_lm()
    _parts(c.model.stage)
    _shape(c, "cpu")
    sizes = {**sized(_shape), "2l_1b": _2l_1b, "3l_1b": _3l_1b}
    return variant(c, arg, sizes, {"two": lambda c: None, "three": _three})


def _parts(s: ConfigDict) -> None:
    s.pool, s.widen = "last", "project_normed"
    s.unpool, s.first = "offset", "zeros"


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size, final_norm="none")
    s.encoder, s.decoder = local(size), local(size, final_norm="rms")


def _three(c: ConfigDict) -> None:
    """The backbone's first and last layers stay at the rate of words."""
    c.name = "aunet_three"
    s = c.model.stage
    words = s.backbone
    outer = words.copy_and_resolve_references()
    outer.L = max(1, words.L // 6)
    words.L -= 2 * outer.L
    s.backbone = _pairs(outer, words)


def _pairs(outer: ConfigDict, trunk: ConfigDict) -> ConfigDict:
    s = stage(router=stride_router(stride=2, capacity=0.75), backbone=trunk)
    s.encoder, s.decoder = (scoped(outer.copy_and_resolve_references()) for _ in range(2))
    _parts(s)
    return s


def _block(D: int, L: int, F: int, N: int = 128) -> dict:
    return {"D": D, "L": L, "H": D // N, "K": D // N, "N": N, "F": F}


def _published(c: ConfigDict) -> None:
    bytes_ = {**_block(512, 3, 1536, 64), "window": 512, "rope_base_local": 500_000.0}
    s = c.model.stage
    s.encoder, s.decoder = stack(**bytes_), stack(**bytes_, final_norm="rms")
    at_published_size(c, symbols=8192, units=3200, rows=192)
    c.optimizer.clip, c.optimizer.lr, c.optimizer.warmup = 0.2, 1.65e-3, 10_000
    c.train.steps = 180_000


def _2l_1b(c: ConfigDict) -> None:
    c.model.stage.backbone = transformer(**_block(2048, 25, 5632), rope_base=500_000.0, final_norm="none")
    _published(c)


def _3l_1b(c: ConfigDict) -> None:
    c.name = "aunet_three"
    outer = transformer(**_block(2048, 3, 5632), rope_base=500_000.0, final_norm="none")
    trunk = transformer(**_block(3072, 18, 8192), rope_base=500_000.0, final_norm="none")
    c.model.stage.backbone = _pairs(outer, trunk)
    _published(c)
    c.optimizer.lr = 1.5e-3
