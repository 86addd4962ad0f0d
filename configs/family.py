"""The whole family, and a byte and a subword model, at equal compute: every arm learns from the same bytes and costs
the same training FLOPs a byte.

    python experiments/arms.py --config=configs/family.py --variant=english --data='jsonl:DIR/english/{split}.jsonl.xz'

Variants: an arm and a text, as `hat_v2,english` or `blt,khmer`. Widths are those of the size `tiny` (config/sizes.py):
128 for the backbone (96 where it runs at more positions than others, to leave it some depth) and 64 for local stacks.
What an arm saves with fewer units or leaner local stacks goes into layers and feed-forward of its backbone, until it
costs 2.6 MFLOPs a byte: model FLOPs of a step (`lexitok/training/flops.py`; padding included, and the router's model of
`blt`, forward only) over its raw bytes. `python experiments/arms.py --variant=TEXT --data=... --solve` finds such
shapes; of those in `SHAPES`, that of `bytes` for Khmer was given a second layer by hand. The subword model's
vocabulary, and that whose tokens are `bolmo`'s units, is of 2,048 tokens, trained on the text. `blt` asks the model of
a run that is given; its bytes are not counted.
"""

from pathlib import Path

from ml_collections import ConfigDict

from lexitok.config import innermost
from lexitok.config.files import ConfigError, load_config

FLOPS_PER_BYTE = 2.6e6
ARMS = {
    "bytes": "bytes.py:tiny",
    "subword": "subword.py:tiny",
    "hat_v1": "hat_v1.py:tiny",
    "hat_v2": "hat_v2.py:tiny",
    "hat_v2_end_symbol": "hat_v2.py:end_symbol,tiny",
    "hat_v2_fused": "hat_v2.py:fused,tiny",
    "hat_v2_revealed": "hat_v2.py:revealed,tiny",
    "learn_your_tokens": "learn_your_tokens.py:tiny",
    "spacebyte": "spacebyte.py:tiny",
    "blt": "blt.py:tiny",
    "blt_space": "blt.py:space,tiny",
    "aunet": "aunet.py:tiny",
    "hnet": "hnet.py:tiny",
    "bolmo": "bolmo.py:tiny",
}
NARROW = ("bytes", "learn_your_tokens")
# Arm and text: symbols and units of a row, layers of the backbone, width of its feed-forward.
SHAPES: dict[tuple[str, str], tuple[int, int, int, int]] = {
    ("bytes", "english"): (1024, 120, 2, 232),
    ("subword", "english"): (384, 120, 4, 272),
    ("hat_v1", "english"): (1152, 152, 6, 576),
    ("hat_v2", "english"): (1024, 256, 6, 208),
    ("hat_v2_end_symbol", "english"): (1248, 256, 5, 216),
    ("hat_v2_fused", "english"): (1024, 256, 5, 264),
    ("hat_v2_revealed", "english"): (1024, 256, 6, 208),
    ("learn_your_tokens", "english"): (1568, 152, 2, 328),
    ("spacebyte", "english"): (1024, 176, 6, 520),
    ("blt", "english"): (1024, 256, 5, 208),
    ("blt_space", "english"): (1024, 176, 6, 456),
    ("aunet", "english"): (1024, 296, 4, 288),
    ("hnet", "english"): (1024, 256, 6, 224),
    ("bolmo", "english"): (1024, 432, 2, 288),
    ("bytes", "khmer"): (1056, 120, 2, 208),
    ("subword", "khmer"): (160, 120, 6, 1008),
    ("hat_v1", "khmer"): (1088, 56, 6, 1944),
    ("hat_v2", "khmer"): (1056, 272, 5, 264),
    ("hat_v2_end_symbol", "khmer"): (1248, 264, 4, 304),
    ("hat_v2_fused", "khmer"): (1056, 272, 5, 216),
    ("hat_v2_revealed", "khmer"): (1056, 272, 5, 264),
    ("learn_your_tokens", "khmer"): (1248, 56, 6, 480),
    ("spacebyte", "khmer"): (1056, 384, 4, 208),
    ("blt", "khmer"): (1056, 256, 4, 304),
    ("blt_space", "khmer"): (1056, 384, 3, 288),
    ("aunet", "khmer"): (1056, 328, 4, 216),
    ("hnet", "khmer"): (1056, 256, 6, 208),
    ("bolmo", "khmer"): (1056, 160, 6, 272),
}


def get_config(arg: str = "") -> ConfigDict:
    arm, _, text = arg.partition(",")
    if (arm, text) not in SHAPES:
        texts = dict.fromkeys(text for _, text in SHAPES)
        raise ConfigError(f"'{arg}' is not an arm and a text; arms: {', '.join(ARMS)}; texts: {', '.join(texts)}")
    c = unshaped(arm)
    c.data.symbols, c.data.units, layers, width = SHAPES[arm, text]
    innermost(c.model).update(L=layers, F=width)
    return c


def unshaped(arm: str) -> ConfigDict:
    """An arm before it costs what the others do."""
    c = load_config(str(Path(__file__).parent / ARMS[arm]))
    c.name = arm
    c.text.vocabulary.size, c.text.vocabulary.train_bytes = 2048, 1_000_000
    if arm in NARROW:
        innermost(c.model).update(D=96, H=3, K=3, N=32)
    return c
