"""SpaceByte (arXiv 2404.14408): the backbone runs at the first byte of each run of space-like bytes.

    python experiments/train.py --config=configs/spacebyte.py:cpu --workdir=runs/spacebyte

Variants: the sizes `cpu` (the default), `gpu1`, `pod` (config/sizes.py), and the published `1e19` (the model of 1e19
training FLOPs: 201M parameters in the backbone and 50M in the local layers) and `793m` (793M and 184M). Source of
widths, depths and context: tables 3 and 4 of the paper and the code of kjslag/spacebyte; blocks with scale-only layer
norms, on queries and keys too, a plain feed-forward of four widths with ReLU, local windows as long as the local width.
AdamW 0.9, 0.98, weight decay 0.01, 64 rows.

Two differences. The published models add learned positions to rotary ones; these have the rotary ones only. Theirs pass
over units for which a row has no room, and their bytes in the loss; here rows are packed so that none is.
"""

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, transformer
from lexitok.config import local as stack
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, local, sized, units_per_symbol


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "spacebyte"
    c.text.boundary = "revealed"
    c.text.splitter = "spacelike"
    c.data.units = 320  # of 1,024 symbols: space-like bytes are often near each other
    c.model = byte_unit_lm()
    s = c.model.stage
    s.pool, s.widen = "last", "zeros"
    s.unpool, s.narrow, s.first = "scatter", "first", "zeros"
    _shape(c, "cpu")
    return variant(c, arg, **sized(_shape, units_per_symbol(5 / 16)), **{"1e19": _1e19, "793m": _793m})


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size, final_norm="none")
    s.encoder, s.decoder = local(size), local(size, final_norm="rms")


def _published(c: ConfigDict, D: int, layers: int, E: int, half: int, symbols: int) -> None:
    block = {"N": 64, "feed_forward": "plain", "activation": "relu", "pre_norms": "layer", "qk_norm": "layer"}
    s = c.model.stage
    s.backbone = transformer(D=D, L=layers, H=D // 64, K=D // 64, F=4 * D, final_norm="none", **block)
    bytes_ = {"D": E, "L": half, "H": E // 64, "K": E // 64, "F": 4 * E, "window": E}
    s.encoder, s.decoder = stack(**bytes_, **block), stack(**bytes_, **block, final_norm="layer")
    c.text.alphabet = "in_bytes"
    at_published_size(c, symbols=symbols, units=symbols // 3, rows=64)
    c.optimizer.b2, c.optimizer.weight_decay = 0.98, 0.01


def _1e19(c: ConfigDict) -> None:
    _published(c, D=1024, layers=16, E=512, half=8, symbols=6144)


def _793m(c: ConfigDict) -> None:
    _published(c, D=1536, layers=28, E=768, half=13, symbols=8192)
