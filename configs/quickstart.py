"""The first run: a HAT and a subword model, minutes on two cores, on the same documents of the standard library.

    make quickstart

Variants, joined by commas: the model, `hat` (the default) or `subword`; and the size: `cpu` (the default), `gpu1`,
`pod` (those of `configs/hat_v2.py` and `configs/subword.py`, for a short run on such machines).
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, innermost, token_lm
from lexitok.config.files import variant
from lexitok.config.sizes import backbone, local, tiny


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat"
    tiny(c)
    c.data.units = 240
    s = c.model.stage
    s.backbone = backbone("tiny", final_norm="none")
    s.encoder, s.decoder = local("tiny"), local("tiny", final_norm="rms")
    return variant(c, arg, hat=_hat, subword=_subword, cpu=_cpu, gpu1=_gpu1, pod=_pod)


def _hat(c: ConfigDict) -> None:
    c.name = "hat"


def _subword(c: ConfigDict) -> None:
    c.name = "subword"
    c.text.kind = "subword"
    c.text.vocabulary.size = 2048
    c.text.vocabulary.train_bytes = 2_000_000
    c.model = token_lm()
    c.model.backbone = backbone("tiny")
    c.model.interface.tied = "yes"
    c.model.interface.embed_scale = c.model.backbone.D**0.5
    c.data.symbols = 352  # about as many bytes a row as those of `hat`


def _cpu(c: ConfigDict) -> None:
    del c  # as it is


def _gpu1(c: ConfigDict) -> None:
    _widen(c, "gpu1")
    c.data.rows = 128
    c.optimizer.lr = 1e-3


def _pod(c: ConfigDict) -> None:
    _widen(c, "pod")
    c.model.compute_dtype = "bfloat16"
    c.data.rows = 512
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 5e-4


def _widen(c: ConfigDict, size: str) -> None:
    """Only the backbone: the local stacks stay small."""
    trunk, wide = innermost(c.model), backbone(size)
    trunk.update({name: wide[name] for name in (*"DLHKNF", "remat")})
    if c.model.kind == "token_lm":
        c.model.interface.embed_scale = trunk.D**0.5
