"""A hypernetwork that gives a trained model any tokenizer: rows of its tokens, made of how the base model spells them.

    python experiments/train.py --config=configs/subword.py:tiny --workdir=runs/base
    python experiments/train.py --config=configs/hypernetwork.py:tiny --config.model.interface.run=runs/base \
        --workdir=runs/hyper
    python experiments/transfer.py --run=runs/base --tokenizer=NEW --method_in=hypernetwork --hypernetwork=runs/hyper \
        --workdir=runs/new

The base model stays as it is; what is trained is the interface, under a tokenizer that is drawn anew for each batch.
`text.vocabulary` is one that training does not see, by which the run is evaluated.

Variants, joined by commas: the base model, `tiny` (configs/subword.py:tiny), `small` (configs/small_base.py, the
default) or `gemma3_270m` (`experiments/convert.py` makes its run); and the form. By default rows are a heuristic's, the
mean of their parts, and what the network adds, trained in one phase (tokenkit, arXiv 2503.20083). `imitation` and
`published` are the two phases of ZeTT (arXiv 2405.07883), each a run; the second begins with the first:

    python experiments/train.py --config=configs/hypernetwork.py:tiny,imitation --config.model.interface.run=runs/base \
        --workdir=runs/phase1
    python experiments/train.py --config=configs/hypernetwork.py:tiny,published --config.model.interface.run=runs/base \
        --config.train.start.run=runs/phase1 --workdir=runs/phase2

With `alm`, as `small,alm`, text is also to be as likely under each drawn tokenizer as it is to the base model under its
own (`lexitok.distill.losses.alm`).

Of the published recipe are: 8 parts, the lexical loss's weight, AdamW's 0.95, decay 0.01, clipping at 0.1, 16,384
tokens a step of imitation, both phases' rates, and, for `gemma3_270m`, 128 rows of 128 symbols. Steps, and the rate of
the residual form, are ours: 200,000 steps are published, 10,000 of them of imitation.

A step of `gemma3_270m` takes 2.78e13 FLOPs, two thirds of them for the rows of 32,768 tokens. Its 5,000 steps take 6
minutes of a GPU of 989 TFLOP/s in bfloat16 at 40 % of that, and 200,000 take 3.9 hours; it was not run on one. A host
that makes two batches a second takes 42 minutes for 5,000 (`experiments/benchmarks/drawn_vocabularies.py` measures
that), so it is the host that sets the time. With any tokenizer's file for V, the count is printed by

    python -c "from lexitok.config.files import load_config; from lexitok.training.setup import make_setup; \
        from lexitok.training import ahead_of_time, flops; \
        c = load_config('configs/hypernetwork.py:gemma3_270m', ['model.interface.vocabulary=V', \
            'text.vocabulary.path=V']); s = make_setup(c); \
        print(flops.training_flops(s, ahead_of_time.abstract_batch(s)))"
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, distillation, hypernetwork, imitation, table, token_lm, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import backbone


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hypernetwork"
    c.text.kind = "subword"
    c.model = token_lm()
    c.data.tokenizers = "drawn"
    c.optimizer.frozen = ("backbone",)
    c.optimizer.weight_decay, c.optimizer.clip = 0.01, 0.1
    _small(c)
    bases = {"tiny": _tiny, "small": _small, "gemma3_270m": _gemma3_270m}
    return variant(c, arg, bases, imitation=_imitation, published=_published, alm=_alm)


def _made_of(c: ConfigDict, D: int, L: int, F: int) -> None:
    """The interface for a base model whose table is tied and scaled as Gemma's."""
    stack = {"D": D, "L": L, "H": D // 32, "K": D // 32, "N": 32, "F": F, "feed_forward": "plain", "activation": "gelu"}
    source = table(tied="yes", embed_scale=c.model.backbone.D**0.5)
    c.model.interface = hypernetwork(source=source, stack=transformer(**stack))


def _tiny(c: ConfigDict) -> None:
    c.model.backbone = backbone("tiny")
    _made_of(c, D=64, L=1, F=128)
    c.text.vocabulary.size, c.text.vocabulary.train_bytes = 1024, 1_000_000
    c.data.rows, c.data.symbols = 4, 352
    c.data.drawn.size, c.data.drawn.window_bytes = 1024, 200_000
    c.optimizer.lr, c.optimizer.warmup = 3e-3, 30
    c.train.steps = 280
    c.train.log_every, c.train.eval_every, c.train.checkpoint_every = 20, 140, 140
    c.eval.bytes = 100_000


def _small(c: ConfigDict) -> None:
    c.model.backbone = transformer(D=192, L=6, H=6, K=6, N=32, F=512)
    _made_of(c, D=192, L=3, F=384)
    c.text.vocabulary.size = 4096
    c.data.rows, c.data.symbols = 16, 256
    c.data.drawn.size = 8192
    c.optimizer.lr, c.optimizer.warmup = 1e-3, 100
    c.train.steps = 1000
    c.eval.bytes = 200_000


def _gemma3_270m(c: ConfigDict) -> None:
    """Gemma 3 270M, as `experiments/convert.py` reads it."""
    kinds = ("local",) * 5 + ("global",)
    norms = {"norm_eps": 1e-6, "norm_scale": "offset", "qk_norm": "rms", "post_norms": "rms"}
    rope = {"rope_base": 1_000_000.0, "rope_base_local": 10_000.0}
    shape = {"D": 640, "L": 18, "H": 4, "K": 1, "N": 256, "F": 2048, "layer_kinds": kinds, "window": 512}
    c.model.backbone = transformer(**shape, **norms, **rope, activation="gelu", query_scale=256**-0.5)
    _made_of(c, D=640, L=3, F=1280)
    c.optimizer.frozen_dtype = "bfloat16"
    c.data.rows, c.data.symbols = 128, 128
    c.data.drawn.size = 32_768
    c.optimizer.lr, c.optimizer.warmup = 3e-4, 500
    c.train.steps = 5000
    c.train.eval_every = c.train.checkpoint_every = 1000


def _imitation(c: ConfigDict) -> None:
    c.name = "hypernetwork_imitation"
    _without_heuristic(c)
    c.data.tokenizers = "own"  # no text is read
    c.objective = imitation()
    c.optimizer.lr = 3e-4
    c.train.eval_every = 0


def _published(c: ConfigDict) -> None:
    c.name = "hypernetwork_published"
    _without_heuristic(c)
    c.optimizer.lr = 6e-5


def _alm(c: ConfigDict) -> None:
    c.name = "hypernetwork_alm"
    c.objective = distillation(next_symbol=1.0, alm=1.0)
    teacher = c.objective.teacher
    teacher.run = c.model.interface.get_ref("run")
    teacher.symbols, teacher.shares = c.data.symbols, ("backbone",)


def _without_heuristic(c: ConfigDict) -> None:
    c.model.interface.form = "published"
