"""HAT, version 2 (arXiv 2603.15953): a causal encoder, words pooled by one learned query, and the backbone's output
added in each layer of the decoder, one word late.

    python experiments/train.py --config=configs/hat_v2.py:cpu --workdir=runs/hat_v2
    python experiments/train.py --config=configs/hat_v2.py:gpu1 --config.data.source='jsonl:DIR/{split}.jsonl.xz'

Variants, joined by commas: the sizes `cpu` (the default), `gpu1`, `pod` (config/sizes.py) and `8b`; and how the end of
a word is known: `lagged` (the default, as published), `end_symbol`, `fused` or `revealed`.

`8b` is the shape of Llama-3.1-8B-TFree-HAT: 119,291,904 parameters in the encoder with its pool, 6,979,584,000 in the
backbone, 93,619,200 in the decoder (reference/models.md 1.2; `tests/models/test_sizes.py`). Its decoder's
cross-attention has query and key weights that have no effect, as every byte sees one key only; `unpool_weights =
"published"` keeps them. Windows of 768 bytes and rows of 3,500 words are of the published models.
"""

from ml_collections import ConfigDict

from lexitok.config import default_config, local, transformer
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, sized
from lexitok.config.sizes import local as local_of
from lexitok.text.alphabet import ALPHABETS


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hat_v2"
    _shape(c, "cpu")
    ends = {"lagged": _lagged, "end_symbol": _end_symbol, "fused": _fused, "revealed": _revealed}
    return variant(c, arg, {**sized(_shape), "8b": _8b}, ends)


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size, final_norm="none")
    s.encoder, s.decoder = local_of(size), local_of(size, final_norm="rms")


def _lagged(c: ConfigDict) -> None:
    del c  # as it is


def _end_symbol(c: ConfigDict) -> None:
    c.name = "hat_v2_end_symbol"
    c.text.boundary = "end_symbol"


def _fused(c: ConfigDict) -> None:
    c.name = "hat_v2_fused"
    c.text.boundary = "fused"
    c.model.interface.table_rows = ALPHABETS[c.text.alphabet].size  # it says nothing of the ends of units


def _revealed(c: ConfigDict) -> None:
    c.name = "hat_v2_revealed"
    c.text.boundary = "revealed"


def _8b(c: ConfigDict) -> None:
    c.name = "hat_v2_8b"
    c.text.alphabet = "in_bytes"
    c.text.max_unit_bytes = 100
    s = c.model.stage
    s.pool_positions, s.unpool_weights = "published", "published"
    llama3 = (8.0, 1.0, 4.0, 8192.0)
    s.backbone = transformer(
        D=4096, L=32, H=32, K=8, N=128, F=14336, rope_base=500_000.0, rope_llama3=llama3, final_norm="none"
    )
    bytes_ = {"D": 1024, "H": 8, "K": 8, "N": 128, "F": 2816, "window": 768, "rope_base_local": 500_000.0}
    s.encoder = local(L=6, **bytes_)
    s.decoder = local(L=4, **bytes_, final_norm="rms")
    at_published_size(c, symbols=16384, units=3500)
