"""A HAT around a pretrained backbone: its blocks are those of a token model, its encoder and decoder are new. These
learn alone at first, while the backbone is frozen, then everything learns.

    python experiments/convert.py --source=gemma.gguf --workdir=runs/hat/new --config=configs/hat_pretrained.py
    python experiments/train.py --config=configs/hat_pretrained.py:gemma3_270m,frozen --workdir=runs/hat/frozen \
        --config.train.start.run=runs/hat/new --config.data.source='jsonl:DIR/{split}.jsonl.xz'
    python experiments/train.py --config=configs/hat_pretrained.py:gemma3_270m,joint --workdir=runs/hat/joint \
        --config.train.start.run=runs/hat/frozen --config.data.source='jsonl:DIR/{split}.jsonl.xz'

Variants, joined by commas: the backbone, `gemma3_270m` (the default); the phase, `frozen` (the default) or `joint`; and
`tiny`, with rows for minutes on two cores, or `gpu1`. For another backbone, add its shape: the section `model.backbone`
in the `config.json` of the converted run. Llama 3.1 8B TFree-HAT is a model made in this way (arXiv 2603.15953); rates
and lengths here are our own.
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, local, transformer
from lexitok.config.files import variant


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat_pretrained"
    _gemma3_270m(c)
    _frozen(c)
    _tiny(c)
    phases = {"frozen": _frozen, "joint": _joint}
    return variant(c, arg, gemma3_270m=_gemma3_270m, **phases, tiny=_tiny, gpu1=_gpu1)


def _gemma3_270m(c: ConfigDict) -> None:
    """The backbone of Gemma 3 270M, as `experiments/convert.py` reads it, and local stacks of 256."""
    s = c.model.stage
    kinds = ("local",) * 5 + ("global",)
    norms = {"norm_eps": 1e-6, "norm_scale": "offset", "qk_norm": "rms", "post_norms": "rms"}
    rope = {"rope_base": 1_000_000.0, "rope_base_local": 10_000.0}
    shape = {"D": 640, "L": 18, "H": 4, "K": 1, "N": 256, "F": 2048, "layer_kinds": kinds, "window": 512}
    s.backbone = transformer(**shape, **norms, **rope, activation="gelu", query_scale=256**-0.5)
    stack = {"D": 256, "L": 2, "H": 4, "K": 4, "N": 64, "F": 768, "window": 128}
    s.encoder, s.decoder = local(**stack), local(**stack, final_norm="rms")


def _frozen(c: ConfigDict) -> None:
    c.name = "hat_pretrained_frozen"
    c.optimizer.frozen = ("stage.backbone",)
    c.optimizer.lr, c.optimizer.warmup = 3e-3, 30


def _joint(c: ConfigDict) -> None:
    c.name = "hat_pretrained_joint"
    c.optimizer.frozen = ()
    c.optimizer.lr, c.optimizer.warmup = 3e-4, 30


def _tiny(c: ConfigDict) -> None:
    c.text.max_unit_bytes = 32
    c.data.rows, c.data.symbols, c.data.units = 4, 1024, 256
    c.train.steps = 280
    c.train.log_every, c.train.eval_every, c.train.checkpoint_every = 20, 140, 140
    c.eval.bytes = 100_000


def _gpu1(c: ConfigDict) -> None:
    c.text.max_unit_bytes = 64
    c.data.rows, c.data.symbols, c.data.units = 32, 8192, 2560
    c.model.stage.backbone.remat = "dots"
    c.train.steps = 2000
    c.train.log_every, c.train.eval_every, c.train.checkpoint_every = 20, 500, 500
    c.eval.bytes = 1_000_000
