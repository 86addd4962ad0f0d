"""A small base model, the subject of experiments that give a trained model another tokenizer.

    make small-base
    python experiments/train.py --config=configs/small_base.py:seed1 --workdir=runs/small_base_1

A BPE of 8,192 tokens, six layers of width 192, English prose, the help pages of an office suite in five languages,
Python, and numbers that are copied and added. The variants `seed1` and `seed2` are the same with other seeds (and so
another order of the text); the vocabulary is the same for all, since its text is taken in a fixed order.
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, token_lm, transformer
from lexitok.config.files import variant

LANGUAGES = ("en", "de", "fr", "es", "cs")
_D = 192
# Documents are drawn by these weights; they differ in length.
_SOURCES = {
    "jsonl:../shared/data/english/{split}.jsonl.xz": 3,
    "stdlib": 2,
    **{f"jsonl:../shared/data/help/{language}.{{split}}.jsonl.xz": 9 for language in LANGUAGES},
    "digits": 10,
}


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "small_base"
    c.text.kind = "subword"
    c.text.vocabulary.size = 8192
    c.model = token_lm()
    c.model.interface.tied = "yes"
    c.model.interface.embed_scale = _D**0.5
    c.model.backbone = transformer(D=_D, L=6, H=6, K=6, N=32, F=512)
    c.data.source = " + ".join(f"{weight}*{name}" for name, weight in _SOURCES.items())
    c.data.rows, c.data.symbols = 16, 256
    c.optimizer.lr, c.optimizer.warmup = 6e-3, 50
    c.train.steps, c.train.eval_every, c.train.checkpoint_every = 1000, 500, 100
    c.eval.bytes = 200_000
    return variant(c, arg, seed0=_seed(0), seed1=_seed(1), seed2=_seed(2))


def _seed(seed: int):
    def set_seed(c: ConfigDict) -> None:
        c.seed = seed

    return set_seed
