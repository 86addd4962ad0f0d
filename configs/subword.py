"""A subword model: SentencePiece, a learned table, the backbone. The baseline of everything else.

    python experiments/train.py --config=configs/subword.py:cpu --workdir=runs/subword

Variants: `tiny`, `cpu` (the default), `gpu1` (100M parameters, one GPU), `pod` (1B, 16 chips or more). The vocabulary
is trained on the run's own text unless `text.vocabulary.path` names a tokenizer (SentencePiece, Hugging
Face, Tekken, GGUF).
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, token_lm, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import backbone, tiny


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "subword"
    c.text.kind = "subword"
    c.model = token_lm()
    c.model.interface.tied = "yes"
    c.model.interface.embed_scale = 16.0  # sqrt(D)
    c.data.symbols = 256
    return variant(c, arg, tiny=_tiny, cpu=_cpu, gpu1=_gpu1, pod=_pod)


def _tiny(c: ConfigDict) -> None:
    tiny(c)
    c.model.backbone = backbone("tiny")
    c.model.interface.embed_scale = 128**0.5
    c.text.vocabulary.size, c.text.vocabulary.train_bytes = 2048, 2_000_000
    c.data.symbols = 352  # about as many bytes a row as others have


def _cpu(c: ConfigDict) -> None:
    del c  # the default tree is this size


def _gpu1(c: ConfigDict) -> None:
    c.model.backbone = transformer(D=768, L=12, H=12, K=12, N=64, F=2048)
    c.model.interface.embed_scale = 768**0.5
    c.text.vocabulary.size = 16384
    c.data.rows, c.data.symbols = 32, 2048
    c.optimizer.accumulate = 2
    c.optimizer.lr = 1e-3
    c.train.steps = 2000


def _pod(c: ConfigDict) -> None:
    c.model.backbone = transformer(D=2048, L=18, H=16, K=16, N=128, F=5632, remat="full")
    c.model.interface.embed_scale = 2048**0.5
    c.model.compute_dtype = "bfloat16"
    c.text.vocabulary.size = 65536
    c.data.rows, c.data.symbols = 256, 2048
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 5e-4
    c.optimizer.warmup = 1000
    c.train.steps = 100_000
