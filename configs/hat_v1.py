"""HAT, version 1 (arXiv 2501.10322): the encoder sees a word at a time in both directions, the backbone's output takes
the first place in the decoder, which sees a word at a time as well, and a symbol ends each word.

    python experiments/train.py --config=configs/hat_v1.py:cpu --workdir=runs/hat_v1

Variants: the sizes `cpu` (the default), `gpu1`, `pod` (config/sizes.py), and the published `1b`, `3b`, `7b`. The paper
gives layers of the backbone (18, 28, 36), its parameters (1.1B, 4.3B, 9.2B), the form of the local stacks ("6h3L",
"8h4L") and their parameters (23M, 24M, 55M) (reference/models.md 1.1). Widths follow from these: as many heads as
layers, 128 wide, and a feed-forward of 8/3 of the width; local stacks of 6 or 8 heads. Splitting is at white space,
with the white space at the end of words; documents are up to 16,384 bytes; AdamW 0.9, 0.95, weight decay 0.1, warm-up
500, cosine to a tenth, peak `3e-4 * 32 / heads`, 1024 rows, 72,000 steps."""

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, local, sized


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat_v1"
    c.text.boundary = "end_symbol"
    c.text.splitter = "whitespace"
    c.model = byte_unit_lm()
    s = c.model.stage
    s.pool, s.unpool = "slot", "prefix"
    _shape(c, "cpu")
    return variant(c, arg, **sized(_shape), **{"1b": _1b, "3b": _3b, "7b": _7b})


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size)
    s.encoder, s.decoder = (_in_word(c, local(size)) for _ in range(2))


def _in_word(c: ConfigDict, stack: ConfigDict) -> ConfigDict:
    stack.scope, stack.final_norm, stack.window = "unit", "rms", c.text.max_unit_bytes + 1
    return stack


def _published(c: ConfigDict, layers: int, heads: int, depth: int) -> None:
    s = c.model.stage
    D, E = 128 * layers, 128 * heads
    s.backbone = transformer(D=D, L=layers, H=layers, K=layers, N=128, F=_feed_forward(D))
    stack = {"D": E, "L": depth, "H": heads, "K": heads, "N": 128, "F": _feed_forward(E)}
    s.encoder, s.decoder = (_in_word(c, local("cpu", **stack)) for _ in range(2))
    c.text.alphabet = "in_bytes"
    at_published_size(c, symbols=16384, units=3500, rows=1024)
    c.optimizer.lr, c.optimizer.warmup = 3e-4 * 32 / layers, 500
    c.train.steps = 72_000


def _feed_forward(D: int) -> int:
    return 8 * D // 3


def _1b(c: ConfigDict) -> None:
    _published(c, layers=18, heads=6, depth=3)


def _3b(c: ConfigDict) -> None:
    _published(c, layers=28, heads=6, depth=3)


def _7b(c: ConfigDict) -> None:
    _published(c, layers=36, heads=8, depth=4)
