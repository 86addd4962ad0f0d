"""What a run minimises, by name. A new objective is one file and a line here."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.training.objectives.language_modelling import language_modelling

Sums = dict[str, Float[Array, ""]]
# What is trained, what is fixed (`lexitok.training.state.TrainState`) and a batch, to what is minimised, summed over
# targets, and to sums that are added up over batches and devices, and divided only on the host. `weights` is among
# them, the number of targets: the gradient is that of the sum over it.
Objective = Callable[[Any, Any, Batch], tuple[jax.Array, Sums]]

OBJECTIVES: dict[str, Callable[[ConfigDict, Encoder], Objective]] = {"language_modelling": language_modelling}


def make_objective(c: ConfigDict, encoder: Encoder) -> Objective:
    """The objective that the config section `objective` describes.

    Args:
      c: the section; `c.kind` is one of `OBJECTIVES`.
      encoder: of the symbols.

    Raises:
      ValueError: an unknown kind.
    """
    if c.kind not in OBJECTIVES:
        raise ValueError(f"unknown objective.kind '{c.kind}'; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[c.kind](c, encoder)
