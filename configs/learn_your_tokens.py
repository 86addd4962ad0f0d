"""Learn Your Tokens (arXiv 2310.11628): four slots a word, through the backbone as four positions, and back.

    python experiments/train.py --config=configs/learn_your_tokens.py:cpu --workdir=runs/learn_your_tokens

Variants: the sizes `cpu` (the default), `gpu1`, `pod` (config/sizes.py), and `paper`: width 512, 8 layers of 8 heads
in the backbone, 2 in the encoder (4 heads) and in the decoder (8 heads), plain feed-forwards of 2,048 (GELU), batches
of 192 words (reference/models.md 2, and the settings in the authors' repository avi-jit/eTok).

What is done otherwise, and right: the encoder does not read padding and none is in the loss (words are closed by a
symbol, which is predicted); every model of a comparison, baselines too, has positions and the same bytes of context;
evaluation is on documents that were not trained on. The feed-forwards of the sizes are this code base's own.
"""

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import backbone, local, sized

SLOTS = 4


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "learn_your_tokens"
    c.text.boundary = "end_symbol"
    c.text.splitter = "whitespace"
    c.model = byte_unit_lm()
    s = c.model.stage
    s.pool, s.unpool = "slot", "prefix"
    c.text.slots = s.slots = SLOTS
    c.data.symbols = 1792  # what 1,024 bytes take, with the slots of their words
    _shape(c, "cpu")
    return variant(c, arg, **sized(_shape, _room), paper=_paper)


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size)
    s.encoder, s.decoder = (_in_word(c, local(size)) for _ in range(2))


def _room(c: ConfigDict) -> None:
    c.data.symbols = 7 * c.data.symbols // 4  # as many bytes as the other models have, and the slots of their words


def _in_word(c: ConfigDict, stack: ConfigDict) -> ConfigDict:
    stack.scope, stack.final_norm, stack.window = "unit", "rms", c.text.max_unit_bytes + SLOTS
    return stack


def _paper(c: ConfigDict) -> None:
    block = {"D": 512, "F": 2048, "feed_forward": "plain", "activation": "gelu"}
    s = c.model.stage
    s.backbone = transformer(L=8, H=8, K=8, N=64, **block)
    s.encoder = _in_word(c, local("cpu", L=2, H=4, K=4, N=128, **block))
    s.decoder = _in_word(c, local("cpu", L=2, H=8, K=8, N=64, **block))
    c.data.rows, c.data.symbols, c.data.units = 8, 2304, 192
    c.optimizer.lr = 1e-4
