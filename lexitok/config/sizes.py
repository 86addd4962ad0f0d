"""The sizes that configs come in, so that models of one size can be compared: `tiny`, `cpu`, `gpu1`, `pod`.

`tiny` is for minutes on two cores, `cpu` a laptop's, `gpu1` has a backbone of 85M parameters for one GPU, `pod` one of
900M for 16 chips or more.
"""

from collections.abc import Callable

from ml_collections import ConfigDict

from lexitok.config import tree as C

_BACKBONES = {
    "tiny": {"D": 128, "L": 3, "H": 4, "K": 4, "N": 32, "F": 352},
    "cpu": {"D": 256, "L": 6, "H": 4, "K": 4, "N": 64, "F": 768},
    "gpu1": {"D": 768, "L": 12, "H": 12, "K": 12, "N": 64, "F": 2048},
    "pod": {"D": 2048, "L": 18, "H": 16, "K": 16, "N": 128, "F": 5632},
}
_LOCALS = {
    "tiny": {"D": 64, "L": 1, "H": 4, "K": 4, "N": 16, "F": 176, "window": 64},
    "cpu": {"D": 128, "L": 2, "H": 4, "K": 4, "N": 32, "F": 352, "window": 128},
    "gpu1": {"D": 384, "L": 3, "H": 6, "K": 6, "N": 64, "F": 1024, "window": 512},
    "pod": {"D": 768, "L": 3, "H": 6, "K": 6, "N": 128, "F": 2048, "window": 512},
}
SIZES = tuple(_BACKBONES)


def backbone(size: str, **changes) -> ConfigDict:
    """The backbone of a size."""
    return C.transformer(**(_BACKBONES[size] | {"remat": _remat(size)} | changes))


def local(size: str, **changes) -> ConfigDict:
    """The local stacks of a size."""
    return C.local(**(_LOCALS[size] | {"remat": _remat(size)} | changes))


def _remat(size: str) -> str:
    return "full" if size == "pod" else "none"


def tiny(c: ConfigDict) -> None:
    """How models of the size `tiny` are trained: minutes on two cores."""
    c.text.max_unit_bytes = 32
    c.data.rows, c.data.symbols, c.data.units = 4, 1024, 256
    c.optimizer.lr, c.optimizer.warmup = 1e-2, 30
    c.train.steps = 280
    c.train.log_every, c.train.eval_every, c.train.checkpoint_every = 20, 140, 140
    c.eval.bytes = 100_000


def _train_cpu(c: ConfigDict) -> None:
    del c  # the default tree is this size


def _train_gpu1(c: ConfigDict) -> None:
    c.data.rows, c.data.symbols, c.data.units = 32, 8192, 2560
    c.optimizer.accumulate = 4
    c.optimizer.lr = 1e-3
    c.train.steps = 2000


def _train_pod(c: ConfigDict) -> None:
    c.model.compute_dtype = "bfloat16"
    c.data.rows, c.data.symbols, c.data.units = 256, 8192, 2560
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr = 5e-4
    c.optimizer.warmup = 1000
    c.train.steps = 100_000


_TRAINING = {"tiny": tiny, "cpu": _train_cpu, "gpu1": _train_gpu1, "pod": _train_pod}


def sized(shape: Callable[[ConfigDict, str], None], *also: Callable[[ConfigDict], None]) -> dict[str, Callable]:
    """Variants of a config, one for each size.

    Args:
      shape: gives a config's model the widths and depths of a size.
      also: done after it.
    """

    def variant_of(size: str) -> Callable[[ConfigDict], None]:
        def change(c: ConfigDict) -> None:
            _TRAINING[size](c)
            shape(c, size)
            for then in also:
                then(c)

        return change

    return {size: variant_of(size) for size in SIZES}


def units_per_symbol(fraction: float) -> Callable[[ConfigDict], None]:
    """A change to a config: rows have room for so many units, over their symbols."""

    def change(c: ConfigDict) -> None:
        c.data.units = int(fraction * c.data.symbols)

    return change


def at_published_size(c: ConfigDict, *, symbols: int, units: int, rows: int = 256) -> None:
    """How a model of a published size is trained here: split over all devices, rematerialised, in bfloat16."""
    c.model.compute_dtype = "bfloat16"
    c.data.rows, c.data.symbols, c.data.units = rows, symbols, units
    c.mesh.data, c.mesh.fsdp = 1, -1
    c.optimizer.lr, c.optimizer.warmup = 5e-4, 1000
    c.train.steps = 100_000
    _rematerialise(c.model.stage)


def _rematerialise(c: ConfigDict) -> None:
    for part in (c.encoder, c.backbone, c.decoder) if c.kind == "stage" else c.get("parts", {"": c}).values():
        if part.kind == "transformer":
            part.remat = "full"
        else:
            _rematerialise(part)
