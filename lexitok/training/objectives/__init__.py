"""What a run minimises, by name. A new objective is one file and a line here."""

from collections.abc import Callable

from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.training.objectives.distillation import distillation
from lexitok.training.objectives.imitation import imitation
from lexitok.training.objectives.language_modelling import language_modelling
from lexitok.training.objectives.objective import Objective, Sums
from lexitok.training.objectives.token_distillation import token_distillation

__all__ = ["OBJECTIVES", "Objective", "Sums", "make_objective"]

OBJECTIVES: dict[str, Callable[[ConfigDict, Encoder], Objective]] = {
    "language_modelling": language_modelling,
    "imitation": imitation,
    "distillation": distillation,
    "token_distillation": token_distillation,
}


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
