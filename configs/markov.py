"""A teacher of a language whose probabilities are known (`lexitok.data.markov`), for students of other tokenizers.

    python experiments/train.py --config=configs/markov.py --workdir=runs/markov
    python experiments/distill.py --teacher=runs/markov --student=bytes,tiny --loss=text --loss=alm --out=runs/students

A BPE of 320 tokens, three layers of width 128.
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, token_lm
from lexitok.config.files import variant
from lexitok.config.sizes import backbone


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "markov"
    c.text.kind = "subword"
    c.text.vocabulary.size = 320
    c.model = token_lm()
    c.model.interface.tied = "yes"
    c.model.interface.embed_scale = 128**0.5
    c.model.backbone = backbone("tiny")
    c.data.source = "markov"
    c.data.rows, c.data.symbols = 16, 256
    c.optimizer.lr, c.optimizer.warmup = 4e-3, 30
    c.train.steps, c.train.eval_every, c.train.checkpoint_every = 400, 200, 200
    c.eval.bytes = 50_000
    return variant(c, arg)
