"""H-Net (arXiv 2507.07955): a router, learned with all else, says where the encoder's vectors change direction.

    python experiments/train.py --config=configs/hnet.py:cpu --workdir=runs/hnet

Variants, joined by commas: `one` stage (the default) or `two`; what local stacks are made of, `mamba` (the default, as
published) or `attention`; and the sizes `cpu` (the default), `gpu1`, `pod` (config/sizes.py), and the published
`1stage_l` (679,405,312 parameters, "680M"), `2stage_l` (874,315,264, "870M"), `1stage_xl` (1,270,833,920, "1.3B") and
`2stage_xl` (1,603,492,224, "1.6B"): arch_layout, widths and windows are those of the configs of goombalab/hnet, checked
by the counts (`tests/models/test_sizes.py`). Weight of the ratio loss 0.03, targets as in the paper.

The published recipe has a learning rate for each stage; here it is one. The ratio loss is over the whole batch, on all
devices, not over each device's share.
"""

from ml_collections import ConfigDict

from lexitok.config import (
    byte_unit_lm,
    chain,
    cosine_router,
    default_config,
    mamba2,
    scoped,
    stage,
    transformer,
)
from lexitok.config.files import variant
from lexitok.config.sizes import at_published_size, backbone, local, sized, units_per_symbol

PUBLISHED = {"1stage_l": (1, "l"), "2stage_l": (2, "l"), "1stage_xl": (1, "xl"), "2stage_xl": (2, "xl")}


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "hnet"
    c.text.boundary, c.text.splitter = "revealed", "model"
    c.data.units = 384  # of 1,024 symbols: the router has to find its rate first
    c.model = byte_unit_lm()
    _parts(c.model.stage, target=5.0)
    _shape(c, "cpu")
    sizes = sized(_shape, units_per_symbol(3 / 8)) | {name: _published(*which) for name, which in PUBLISHED.items()}
    stacks = {"mamba": lambda c: None, "attention": _attention}
    return variant(c, arg, sizes, stacks, {"one": lambda c: None, "two": _two})


def _parts(s: ConfigDict, target: float, capacity: float = 1.0) -> None:
    s.router = cosine_router(target=target, capacity=capacity)
    s.pool, s.widen = "last", "learned"
    s.unpool, s.narrow, s.first = "smoothed", "first", "zeros"


def _shape(c: ConfigDict, size: str) -> None:
    s = c.model.stage
    s.backbone = backbone(size)
    like = local(size)
    layers = {"D": like.D, "L": 2 * like.L - 1, "N": like.N, "state": 64, "remat": like.remat, "final_norm": "rms"}
    s.encoder, s.decoder = scoped(mamba2(**layers)), scoped(mamba2(**layers))


def _attention(c: ConfigDict) -> None:
    s = c.model.stage
    like = {"D": s.encoder.D, "L": s.encoder.L // 2, "H": s.encoder.D // s.encoder.N, "K": s.encoder.D // s.encoder.N}
    like |= {"N": s.encoder.N, "F": 11 * s.encoder.D // 4, "remat": s.encoder.remat, "final_norm": "rms"}
    s.encoder, s.decoder = local("cpu", **like), local("cpu", **like)


def _two(c: ConfigDict) -> None:
    """A second stage of the first one's width, with an attention layer beside its recurrent ones."""
    c.name = "hnet_two"
    s = c.model.stage
    s.router.target = 3.0
    inner = stage(backbone=s.backbone)
    _parts(inner, target=2.0, capacity=0.75)
    m = s.encoder.copy_and_resolve_references()
    with m.unlocked():
        del m.scope
    m.L = 2
    E = m.D
    t = transformer(D=E, L=1, H=E // m.N, K=E // m.N, N=m.N, F=11 * E // 4, final_norm="none")
    inner.encoder, inner.decoder = _mixed(t, m), _mixed(m, t)
    s.backbone = inner


def _mixed(*parts: ConfigDict) -> ConfigDict:
    """Stacks one after the other, with a norm behind the last only."""
    parts = tuple(part.copy_and_resolve_references() for part in parts)
    for part in parts[:-1]:
        part.final_norm = "none"
    parts[-1].final_norm = "rms"
    return scoped(chain(*parts))


def _published(stages: int, size: str):
    widths = {
        (1, "l"): (1024, 1536),
        (2, "l"): (1024, 1024, 1536),
        (1, "xl"): (1024, 2048),
        (2, "xl"): (1024, 1536, 2048),
    }[stages, size]
    feed_forward = {1024: 2816, 1536: 4096, 2048: 5504}  # of layers with attention
    layers = {(1, "l"): 22, (2, "l"): 26, (1, "xl"): 24, (2, "xl"): 27}[stages, size]

    def attention(D: int, L: int, **changes) -> ConfigDict:
        return transformer(D=D, L=L, H=16, K=16, N=D // 16, F=feed_forward[D], rope_fraction=0.5, **changes)

    def change(c: ConfigDict) -> None:
        c.name = f"hnet_{stages}stage_{size}"
        c.text.alphabet = "in_bytes"
        s = c.model.stage
        trunk = attention(widths[-1], layers)
        m = mamba2(D=widths[0], L=4)
        s.encoder, s.decoder = scoped(m), scoped(m.copy_and_resolve_references())
        _parts(s, target=6.0 if stages == 1 else 3.0)
        s.backbone = trunk
        if stages == 2:
            inner = stage(backbone=trunk)
            _parts(inner, target=3.0, capacity=0.5)
            m = mamba2(D=widths[1], L=4)
            t = attention(widths[1], 1, layer_kinds=("local",), window=1024)
            inner.encoder, inner.decoder = _mixed(t, m), _mixed(m, t)
            s.backbone = inner
        at_published_size(c, symbols=8192, units=3072)

    return change
