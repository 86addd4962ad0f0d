"""How symbols enter a model, everything else equal: learned vectors, fixed codes, pictures, or nothing at all.

    python experiments/arms.py --config=configs/interfaces.py --variant=bytes --data=stdlib --seeds=3

Variants, joined by commas: what an arm of `ARMS` is; the symbols, `bytes` (the default) or `subword`, a vocabulary of
2,048 tokens that is trained on the text; and the size, `tiny` (the default) or `gpu1`. All have the same backbone.
`learned`, the codes and the pictures have a read-out of their own, which is learned; the lexinvariant models, and
`learned_tied`, their counterpart, are read out with the vectors that symbols enter with.

The backbone of `tiny` is leaner than that of other configs: a lexinvariant model has to learn to use its context before
it learns anything else, which takes thousands of rows. They are of 512 symbols, as in arXiv 2305.16349.
"""

from ml_collections import ConfigDict

from lexitok.config import binary, default_config, glyphs, lexinvariant, semi_lexinvariant, table, token_lm
from lexitok.config.files import variant
from lexitok.config.sizes import backbone, sized

LEAN = {"D": 64, "L": 2, "H": 2, "K": 2, "N": 32, "F": 192}
ARMS = {
    "learned": lambda: table(),
    "learned_tied": lambda: table(tied="yes"),
    "binary": lambda: binary(),
    "binary_signs": lambda: binary(lift="plus_minus"),
    "affine": lambda: binary(recoding="affine"),
    "glyphs": lambda: glyphs(),
    "glyphs_told_apart": lambda: glyphs(drawing="legible", distinct="told_apart"),
    "lexinvariant": lambda: lexinvariant(),
    "semi_lexinvariant": lambda: semi_lexinvariant(),
}


def get_config(arg: str = "") -> ConfigDict:
    c = default_config()
    c.name = "learned"
    c.text.kind = "bytes"
    c.text.vocabulary.size, c.text.vocabulary.train_bytes = 2048, 2_000_000
    c.model = token_lm()
    sizes = sized(_shape)
    sizes["tiny"](c)
    arms = {name: lambda c, name=name: _enter(c, name) for name in ARMS}
    return variant(c, arg, **arms, bytes=_bytes, subword=_subword, tiny=sizes["tiny"], gpu1=sizes["gpu1"])


def _shape(c: ConfigDict, size: str) -> None:
    c.model.backbone = backbone(size, **(LEAN if size == "tiny" else {}))
    if size == "tiny":
        c.data.rows, c.data.symbols = 8, 512
    if c.text.kind == "subword":
        _subword(c)


def _enter(c: ConfigDict, arm: str) -> None:
    c.name = arm
    c.model.interface = ARMS[arm]()


def _bytes(c: ConfigDict) -> None:
    del c  # as it is


def _subword(c: ConfigDict) -> None:
    c.text.kind = "subword"
    c.data.symbols = 32 * round(c.data.symbols / 3 / 32)  # about as many bytes a row
