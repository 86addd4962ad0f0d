"""A plain byte model: every byte is a position of the backbone. The other baseline.

    python experiments/train.py --config=configs/bytes.py:cpu --workdir=runs/bytes

Variants: `tiny`, `cpu` (the default), `gpu1` (100M parameters, one GPU), `pod` (1B, 16 chips or more).
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, token_lm, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import backbone, tiny


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "bytes"
    c.text.kind = "bytes"
    c.model = token_lm()
    return variant(c, arg, tiny=_tiny, cpu=_cpu, gpu1=_gpu1, pod=_pod)


def _tiny(c: ConfigDict) -> None:
    tiny(c)
    c.model.backbone = backbone("tiny")


def _cpu(c: ConfigDict) -> None:
    c.data.rows = 8


def _gpu1(c: ConfigDict) -> None:
    c.model.backbone = transformer(D=768, L=12, H=12, K=12, N=64, F=2048)
    c.data.rows, c.data.symbols = 64, 4096
    c.optimizer.accumulate = 8
    c.optimizer.lr = 1e-3
    c.train.steps = 2000


def _pod(c: ConfigDict) -> None:
    c.model.backbone = transformer(D=2048, L=18, H=16, K=16, N=128, F=5632, remat="full")
    c.model.compute_dtype = "bfloat16"
    c.data.rows, c.data.symbols = 256, 8192
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 5e-4
    c.optimizer.warmup = 1000
    c.train.steps = 100_000
