"""The shape of Llama-3.1-8B-TFree-HAT (arXiv 2603.15953): 119,291,904 parameters in the encoder, 6,979,584,000 in the
backbone, 93,619,200 in the decoder (reference: the published checkpoints' sizes; `tests/models/test_sizes.py`).

Its decoder's cross-attention has query and key weights that have no effect, as every byte sees one key only;
`unpool_weights = "published"` keeps them.
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, local, transformer
from lexitok.config_files import variant


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat_8b"
    c.text.alphabet = "in_bytes"
    c.text.max_unit_bytes = 100
    m = c.model
    m.pool_positions, m.unpool_weights = "published", "published"
    llama3 = (8.0, 1.0, 4.0, 8192.0)
    m.backbone = transformer(
        D=4096, L=32, H=32, K=8, N=128, F=14336, rope_base=500_000.0, rope_llama3=llama3, final_norm="none"
    )
    bytes_ = {"D": 1024, "H": 8, "K": 8, "N": 128, "F": 2816, "window": 768, "rope_base_local": 500_000.0}
    m.encoder = local(L=6, **bytes_)
    m.decoder = local(L=4, **bytes_, final_norm="rms")
    for stack in (m.encoder, m.backbone, m.decoder):
        stack.remat = "full"
    m.compute_dtype = "bfloat16"
    c.data.rows, c.data.symbols, c.data.units = 256, 16384, 3500
    c.mesh.data, c.mesh.fsdp = 1, -1
    return variant(c, arg, pod=lambda c: None)
