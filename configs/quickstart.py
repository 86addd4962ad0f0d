"""The first run: a HAT and a subword model, minutes on two cores, on the same documents of the standard library.

    make quickstart

Variants, joined by commas: the model, `hat` (the default) or `subword`; and the size: `cpu` (the default), `gpu1`,
`pod` (those of `configs/hat.py` and `configs/subword.py`, for a short run on such machines).
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, local, token_lm, transformer
from lexitok.config_files import variant


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat"
    c.model.backbone = transformer(D=128, L=3, H=4, K=4, N=32, F=352, final_norm="none")
    stack = {"D": 64, "L": 1, "H": 4, "K": 4, "N": 16, "F": 176, "window": 64}
    c.model.encoder = local(**stack)
    c.model.decoder = local(**stack, final_norm="rms")
    c.text.max_unit_bytes = 32
    c.data.rows, c.data.symbols, c.data.units = 4, 1024, 240
    c.optimizer.lr = 1e-2
    c.optimizer.warmup = 30
    c.train.steps = 280
    c.train.log_every = 20
    c.train.eval_every = 140
    c.train.checkpoint_every = 140
    c.eval.bytes = 100_000
    return variant(c, arg, hat=_hat, subword=_subword, cpu=_cpu, gpu1=_gpu1, pod=_pod)


def _hat(c: ConfigDict) -> None:
    c.name = "hat"


def _subword(c: ConfigDict) -> None:
    c.name = "subword"
    c.text.kind = "subword"
    c.text.vocabulary.size = 2048
    c.text.vocabulary.train_bytes = 2_000_000
    backbone = c.model.backbone
    c.model = token_lm()
    c.model.backbone = backbone
    c.model.backbone.final_norm = "rms"
    c.model.tied = "yes"
    c.model.embed_scale = backbone.D**0.5
    c.data.symbols = 352  # about as many bytes a row as those of `hat`


def _cpu(c: ConfigDict) -> None:
    del c  # as it is


def _gpu1(c: ConfigDict) -> None:
    _widen(c, transformer(D=768, L=12, H=12, K=12, N=64, F=2048))
    c.data.rows = 128
    c.optimizer.lr = 1e-3


def _pod(c: ConfigDict) -> None:
    _widen(c, transformer(D=2048, L=18, H=16, K=16, N=128, F=5632))
    c.model.backbone.remat = "full"
    c.model.compute_dtype = "bfloat16"
    c.data.rows = 512
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 5e-4


def _widen(c: ConfigDict, backbone: ConfigDict) -> None:
    for letter in "DLHKNF":
        c.model.backbone[letter] = backbone[letter]
    if c.model.kind == "token_lm":
        c.model.embed_scale = backbone.D**0.5
