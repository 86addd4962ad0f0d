"""The small byte model whose uncertainty makes BLT's patches (`configs/blt.py`).

    python experiments/train.py --config=configs/entropy_lm.py --workdir=runs/entropy_lm

Variants: `cpu` (the default) for models of the sizes `cpu`, `gpu1` and `pod`, `tiny` for those of that size;
`published`, with the 14 layers of 768 and windows of 512 bytes of the released models' (reference/models.md 5.2).
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, entropy_router, token_lm, transformer
from lexitok.config.files import variant


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "entropy_lm"
    c.text.kind = "bytes"
    c.model = entropy_router().lm
    c.data.rows = 8
    c.optimizer.lr = 3e-3
    return variant(c, arg, cpu=lambda c: None, tiny=_tiny, published=_published)


def _tiny(c: ConfigDict) -> None:
    c.model.backbone.update(D=64, L=2, H=4, K=4, N=16, F=176, window=64)
    c.data.rows = 4
    c.optimizer.lr, c.optimizer.warmup = 1e-2, 30
    c.train.steps = 280
    c.train.eval_every = c.train.checkpoint_every = 140
    c.eval.bytes = 100_000


def _published(c: ConfigDict) -> None:
    c.model = token_lm()
    c.model.backbone = transformer(D=768, L=14, H=12, K=12, N=64, F=2048, layer_kinds=("local",), window=512)
    c.model.compute_dtype = "bfloat16"
    c.data.rows, c.data.symbols = 64, 8192
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 4e-4
