"""BLT, the byte latent transformer (arXiv 2412.09871): patches end where a small byte model is unsure of what follows.

    python experiments/train.py --config=configs/entropy_lm.py --workdir=runs/entropy_lm
    python experiments/train.py --config=configs/blt.py:cpu --config.model.stage.router.run=runs/entropy_lm \
        --workdir=runs/blt
    python experiments/train.py --config=configs/blt.py:space,cpu --workdir=runs/blt_space

Variants, joined by commas: how patches end, `entropy` (the default) or `space`; and the sizes `cpu` (the default),
`gpu1`, `pod` (config/sizes.py), and the published `1b` (4,533,879,808 parameters, 3.07B of them in tables of hashed
n-grams) and `7b` (10,553,570,560). Source of their numbers: the arguments of the released models and the code of
facebookresearch/blt, checked by those counts (`tests/models/test_sizes.py`); threshold 1.3354 nats for 4.5 bytes a
patch, local windows of 512 bytes, no longest patch. AdamW 0.9, 0.95, 4e-4, weight decay 0.1.

Here patches have a longest length (64), so that decoding has fixed shapes, and rotary halves are as in Llama's
checkpoints. Windows are kept and documents are apart in cached decoding too, which other ports leave out.
"""

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, entropy_router, given, transformer
from lexitok.config import local as stack
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, local, sized, units_per_symbol

TINY_LM = {"D": 64, "L": 2, "H": 4, "K": 4, "N": 16, "F": 176, "window": 64}


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "blt"
    c.text.boundary = "revealed"
    c.data.units = 320
    c.model = byte_unit_lm()
    c.model.embedding.adds = "ngram_hash"
    s = c.model.stage
    s.pool, s.unpool, s.first = "max_cross", "cross", "zeros"
    _shape(c, "cpu")
    _entropy(c)
    return variant(
        c,
        arg,
        entropy=_entropy,
        space=_space,
        **sized(_shape, units_per_symbol(5 / 16), _router),
        **{"1b": _1b, "7b": _7b},
    )


def _entropy(c: ConfigDict) -> None:
    c.text.splitter = "model"
    c.model.stage.router = entropy_router(longest=c.text.max_unit_bytes)


def _space(c: ConfigDict) -> None:
    c.name = "blt_space"
    c.text.splitter = "spacelike"
    c.model.stage.router = given()


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size, final_norm="none")
    s.encoder, s.decoder = local(size), local(size, final_norm="rms")
    s.encoder.L, s.decoder.L = 1, 2 * s.decoder.L - 1  # as the published ones, which have most layers in the decoder
    s.cross.H = s.encoder.H


def _router(c: ConfigDict) -> None:
    router = c.model.stage.router
    if router.kind == "entropy":
        router.longest = c.text.max_unit_bytes
        if c.model.stage.encoder.D == 64:  # `tiny`, and so is the model that is asked (`entropy_lm.py:tiny`)
            router.lm.backbone.update(TINY_LM)


def _published(c: ConfigDict, D: int, layers: int, F: int, E: int, local_F: int, decoder: int, slots: int) -> None:
    s = c.model.stage
    s.backbone = transformer(D=D, L=layers, H=D // 128, K=D // 128, N=128, F=F, rope_base=500_000.0, final_norm="none")
    bytes_ = {"D": E, "H": E // 64, "K": E // 64, "N": 64, "F": local_F, "window": 512, "rope_base_local": 500_000.0}
    s.encoder, s.decoder = stack(L=1, **bytes_), stack(L=decoder, **bytes_, final_norm="rms")
    s.cross.vectors, s.cross.H = slots, E // 64
    c.model.embedding.ngram_rows = 500_002
    at_published_size(c, symbols=16384, units=4096)
    if s.router.kind == "entropy":  # 99,512,064 parameters
        s.router.lm.backbone = transformer(D=768, L=14, H=12, K=12, N=64, F=2048, layer_kinds=("local",), window=512)
    c.optimizer.lr = 4e-4


def _1b(c: ConfigDict) -> None:
    _published(c, D=2048, layers=25, F=5632, E=1024, local_F=2816, decoder=9, slots=2)


def _7b(c: ConfigDict) -> None:
    _published(c, D=4096, layers=32, F=11008, E=1280, local_F=3584, decoder=6, slots=4)
