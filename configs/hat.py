"""HAT: a byte model whose backbone runs over words (arXiv 2501.10322; v2: arXiv 2603.15953).

    python experiments/train.py --config=configs/hat.py:cpu --workdir=runs/hat
    python experiments/train.py --config=configs/hat.py:gpu1 --config.data.source='jsonl:DIR/{split}.jsonl.xz'

Variants, joined by commas: `v2` (the default: causal window encoder, latent-query pool, a guide added in each decoder
layer, boundaries known one character late) or `v1` (bidirectional encoder within the word with a slot, the guide as
prefix, words closed by a symbol); and the size: `cpu` (the default), `gpu1` (100M parameters, one GPU of 80 GB or
more), `pod` (1B, 16 chips or more).
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, local, transformer
from lexitok.config_files import variant


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat"
    return variant(c, arg, v1=_v1, v2=_v2, cpu=_cpu, gpu1=_gpu1, pod=_pod)


def _v1(c: ConfigDict) -> None:
    c.name = "hat_v1"
    c.text.boundary = "end_symbol"
    m = c.model
    m.pool, m.unpool = "slot", "prefix"
    m.backbone.final_norm = "rms"
    for stack in (m.encoder, m.decoder):
        stack.scope, stack.final_norm = "unit", "rms"
        stack.window = c.text.max_unit_bytes + 1


def _v2(c: ConfigDict) -> None:
    c.name = "hat"


def _cpu(c: ConfigDict) -> None:
    del c  # the default tree is this size


def _gpu1(c: ConfigDict) -> None:
    _size(c, transformer(D=768, L=12, H=12, K=12, N=64, F=2048), local(D=384, L=3, H=6, K=6, N=64, F=1024))
    c.data.rows, c.data.symbols, c.data.units = 32, 8192, 2560
    c.optimizer.accumulate = 4
    c.optimizer.lr = 1e-3
    c.train.steps = 2000


def _pod(c: ConfigDict) -> None:
    _size(c, transformer(D=2048, L=18, H=16, K=16, N=128, F=5632), local(D=768, L=3, H=6, K=6, N=128, F=2048))
    for stack in (c.model.encoder, c.model.backbone, c.model.decoder):
        stack.remat = "full"
    c.model.compute_dtype = "bfloat16"
    c.data.rows, c.data.symbols, c.data.units = 256, 8192, 2560
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 5e-4
    c.optimizer.warmup = 1000
    c.train.steps = 100_000


def _size(c: ConfigDict, backbone: ConfigDict, stack: ConfigDict) -> None:
    """Sets the widths and depths of all three stacks; what makes a stack v1 or v2 stays."""
    for old, new in ((c.model.backbone, backbone), (c.model.encoder, stack), (c.model.decoder, stack)):
        for letter in "DLHKNF":
            old[letter] = new[letter]
