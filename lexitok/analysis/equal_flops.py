"""Shapes at which models cost the same: rows that hold the same bytes, and backbones that use up the same FLOPs."""

import dataclasses
import math

import numpy as np
from ml_collections import ConfigDict

from lexitok.config import innermost
from lexitok.config.sections import named
from lexitok.data.pipeline import train_iterator
from lexitok.training.ahead_of_time import abstract_batch
from lexitok.training.flops import training_flops
from lexitok.training.setup import make_setup

BATCHES = 16  # that rows are measured on
SPARE = {"given": 1.12, "entropy": 1.12, "cosine": 1.25}  # room for units, over what is needed on average, by router
NARROWEST = 200  # a feed-forward; with a narrower one, a layer less is better spent


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a training step of a config costs, and does.

    Attributes:
      flops_per_byte: model FLOPs of a step, padding included, over the raw bytes of its batch.
      bytes_per_step: raw bytes of a batch, the mean.
      units_per_row: units of a row, the mean; 0 where the model finds them.
    """

    flops_per_byte: float
    bytes_per_step: float
    units_per_row: float


def cost(config: ConfigDict, devices=None) -> Cost:
    """What a step costs, on the config's own text."""
    setup = make_setup(config, devices=devices)
    iterator = train_iterator(setup.config, setup.encoder)
    batches = [next(iterator) for _ in range(BATCHES)]
    iterator.close()
    nbytes = float(np.mean([batch.tokens.bytes_BxS.sum() for batch in batches]))
    units = [
        0 if batch.tokens.units is None else int(np.count_nonzero(batch.tokens.units.segments_BxW)) for batch in batches
    ]
    flops = training_flops(setup, abstract_batch(setup))
    return Cost(flops / nbytes, nbytes, float(np.mean(units)) / config.data.rows)


def solve_shape(
    config: ConfigDict, flops_per_byte: float, *, row_bytes: int = 1000, most_layers: int = 6, devices=None
) -> tuple[int, int, int, int]:
    """Symbols and units of a row, and layers and feed-forward width of the backbone, for so many FLOPs a byte.

    Rows are made as long as holds `row_bytes`, with some room to spare for units. The backbone has as many layers as
    leave it a feed-forward of `NARROWEST`, and one at least.

    Args:
      config: is left with that shape.
      flops_per_byte: wanted.
      row_bytes: raw bytes of a row, the mean.
      most_layers: of the backbone.
      devices: of the mesh.

    Raises:
      ValueError: the rest of the model costs more than that.
    """
    data, stack = config.data, innermost(config.model)
    data.units = data.symbols
    first = cost(config, devices)
    data.symbols = 32 * math.ceil(data.symbols * row_bytes * data.rows / first.bytes_per_step / 32)
    router = next((c for _, c in named(config.model, "router")), None)  # the outermost, of a model with units
    if router is not None:
        data.units = data.symbols
        units = cost(config, devices).units_per_row or row_bytes / _bytes_per_unit(router)
        data.units = 8 * math.ceil(units * SPARE.get(router.kind, SPARE["given"]) / 8)
    width = 0
    for stack.L in range(most_layers, 0, -1):
        width = _solve_width(config, stack, flops_per_byte, devices)
        if width >= NARROWEST:
            break
    if width < 8:
        raise ValueError(f"{config.name} costs more than {flops_per_byte:.3g} FLOPs a byte with one layer")
    stack.F = width
    return data.symbols, data.units, stack.L, stack.F


def _bytes_per_unit(router: ConfigDict) -> float:
    return router.bytes_per_unit if router.kind == "entropy" else router.target


def _solve_width(config: ConfigDict, stack: ConfigDict, flops_per_byte: float, devices) -> int:
    costs = []
    for stack.F in (128, 256):  # FLOPs are linear in it
        costs.append(cost(config, devices).flops_per_byte)
    slope = (costs[1] - costs[0]) / 128
    return 8 * round((128 + (flops_per_byte - costs[0]) / slope) / 8)
